/*
 * The completion of each shell as one static script: at TAB the shell reads tables that were made of the declarations, and the program,
 * which takes a tenth of a second to start, is not asked.
 */
import type { Offers } from "./argv.ts";

/** The value of an option, or the words after a command. `offers`: what it is completed with, nothing where that is not known. */
type Value = { readonly hint: string; readonly offers: Offers | undefined; readonly repeats: boolean };
type Option = {
  /** without the dashes */
  readonly name: string;
  readonly short: string | undefined;
  readonly about: string;
  /** undefined for a flag */
  readonly value: Value | undefined;
};
export type Described = {
  readonly name: string;
  readonly about: string;
  readonly options: readonly Option[];
  readonly word: Value | undefined;
};
type Script = (common: readonly Option[], commands: readonly Described[]) => string;

/** By shell: the script that completes `common` everywhere and `commands` with what is theirs. */
export const scripts: Readonly<Record<"bash" | "zsh" | "fish", Script>> = { bash, zsh, fish };

const header = (shell: string): string =>
  `# Completion of orchestrator-merge for ${shell}, made by: orchestrator-merge completion ${shell}`;

/** A word as the shell reads it, whatever is in it. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** What the bash function calls the offers of a value: `file`, `directory`, or the words; `none` where nothing is known. */
const kind = (offers: Offers | undefined): string =>
  offers === undefined ? "none" : typeof offers === "string" ? offers : `words ${offers.join(" ")}`;

function bash(common: readonly Option[], commands: readonly Described[]): string {
  const dashed = (options: readonly Option[]): string =>
    options.flatMap(({ name, short }) => [...(short === undefined ? [] : [`-${short}`]), `--${name}`]).join(" ");
  const values = (pattern: string, options: readonly Option[]): string[] =>
    options.flatMap(({ name, value }) =>
      value === undefined ? [] : [`    ${pattern}' --${name}') kind='${kind(value.offers)}' ;;`],
    );
  return `${header("bash")}

# Sets kind to what the value of an option is, or to nothing when it takes none. $1: the command, a space, the option.
_orchestrator_merge_value() {
  kind=
  case $1 in
${[...values("*", common), ...commands.flatMap(({ name, options }) => values(name, options))].join("\n")}
  esac
}

_orchestrator_merge() {
  local IFS=$' \\t\\n' line=\${COMP_LINE:0:COMP_POINT} kind= command= count=0 prefix= i word current
  local words=()
  COMPREPLY=()

  # The words as they were typed: COMP_WORDS is cut at every = and : too.
  for ((i = 0; i <= COMP_CWORD; i++)); do
    word=\${line#"\${line%%[![:space:]]*}"}
    if [[ $i == 0 || $word != "$line" ]]; then words+=(""); fi
    if [[ $i == "$COMP_CWORD" ]]; then
      line=
    else
      line=\${word#"\${COMP_WORDS[i]}"}
      word=\${COMP_WORDS[i]}
    fi
    words[\${#words[@]} - 1]+=$word
  done
  current=\${words[\${#words[@]} - 1]}
  unset "words[\${#words[@]} - 1]"

  if [[ \${words[0]##*/} == qs ]]; then command=status; fi
  for word in "\${words[@]:1}"; do
    if [[ -n $kind ]]; then
      kind=
    elif [[ $word == -* ]]; then
      _orchestrator_merge_value "$command $word"
    elif [[ -z $command ]]; then
      command=$word
    else
      count=$((count + 1))
    fi
  done

  if [[ -z $kind && $current == --*=* ]]; then
    _orchestrator_merge_value "$command \${current%%=*}"
    if [[ $COMP_WORDBREAKS != *=* ]]; then prefix=\${current%%=*}=; fi
    current=\${current#*=}
    : "\${kind:=none}"
  elif [[ -z $kind && $current == -* ]]; then
    case $command in
${commands.map(({ name, options }) => `      ${name}) kind='words ${dashed([...options, ...common])}' ;;`).join("\n")}
      *) kind='words ${dashed(common)}' ;;
    esac
  elif [[ -z $kind ]]; then
    case "$command $count" in
      ' 0') kind='words ${commands.map(({ name }) => name).join(" ")}' ;;
${commands.flatMap(({ name, word }) => (word?.offers === undefined ? [] : [`      '${name} 0') kind='${kind(word.offers)}' ;;`])).join("\n")}
    esac
  fi

  # Files and directories are completed by bash itself, which knows how to quote them.
  case $kind in
    file) return ;;
    directory) compopt +o default -o dirnames 2>/dev/null ;;
    *)
      compopt +o default 2>/dev/null
      current=\${current#[\\'\\"]}
      for word in \${kind#words}; do
        if [[ $kind == words* && $word == "$current"* ]]; then COMPREPLY+=("$prefix$word"); fi
      done
      ;;
  esac
  return 0
}

complete -o default -F _orchestrator_merge orchestrator-merge qs`;
}

function zsh(common: readonly Option[], commands: readonly Described[]): string {
  const escaped = (text: string): string => text.replaceAll(/[\\[\]:]/g, "\\$&");
  const value = ({ hint, offers }: Value): string => {
    const how = { file: "_files", directory: "_files -/" };
    const action = offers === undefined ? " " : typeof offers === "string" ? how[offers] : `(${offers.join(" ")})`;
    return `:${escaped(hint)}:${action}`;
  };
  const option = ({ name, short, about, value: taken }: Option): string => {
    const text = `[${escaped(about)}]`;
    if (taken !== undefined) return quoted(`${taken.repeats ? "*" : ""}--${name}=${text}${value(taken)}`);
    if (short === undefined) return quoted(`--${name}${text}`);
    return `${quoted(`(-${short} --${name})`)}{-${short},--${name}}${quoted(text)}`;
  };
  const ofCommand = ({ name, options, word }: Described): string => {
    const specs = options.map(option);
    if (word !== undefined) specs.push(quoted(`${word.repeats ? "*" : "1"}${value(word)}`));
    return `    ${name}) specs+=(${specs.map((spec) => `\n      ${spec}`).join("")}${specs.length > 0 ? "\n    " : ""}) ;;`;
  };
  return `#compdef orchestrator-merge qs
${header("zsh")}

_orchestrator-merge() {
  local curcontext=$curcontext state state_descr command=status
  local -a line specs names
  local -A opt_args
  specs=(
    ${common.map(option).join("\n    ")}
  )
  names=(
    ${commands.map(({ name, about }) => quoted(`${name}:${escaped(about)}`)).join("\n    ")}
  )
  if [[ $service != qs ]]; then
    _arguments -C -s "$specs[@]" '(-): :->command' '(-)*:: :->words' && return
    case $state in
      command) _describe -t commands command names; return ;;
      words) command=$line[1] ;;
      *) return 1 ;;
    esac
  fi
  case $command in
${commands.map(ofCommand).join("\n")}
    *) return 1 ;;
  esac
  _arguments -s "$specs[@]"
}

# As a file of $fpath this is the function itself; read by source it only says what it completes.
if [[ \${funcstack[1]-} == _orchestrator-merge ]]; then
  _orchestrator-merge "$@"
else
  compdef _orchestrator-merge orchestrator-merge qs
fi`;
}

function fish(common: readonly Option[], commands: readonly Described[]): string {
  const text = (words: string): string => `'${words.replaceAll(/[\\']/g, "\\$&")}'`;
  const value = ({ offers }: Value): string => {
    if (offers === "file") return " -r -F";
    if (offers === "directory") return " -x -a '(__fish_complete_directories)'";
    return offers === undefined ? " -x" : ` -x -a ${text(offers.join(" "))}`;
  };
  const line = (condition: string, rest: string): string =>
    `complete -c orchestrator-merge${condition === "" ? "" : ` -n ${text(`__orchestrator_merge_at ${condition}`)}`} ${rest}`;
  const option = (condition: string, { name, short, about, value: taken }: Option): string =>
    line(
      condition,
      `-l ${name}${short === undefined ? "" : ` -s ${short}`}${taken === undefined ? "" : value(taken)} -d ${text(about)}`,
    );
  const ofCommand = ({ name, options, word }: Described): string[] => [
    ...options.map((each) => option(name, each)),
    ...(word?.offers === undefined ? [] : [line(`${name} 0`, `${value(word).trim()}`)]),
  ];
  const valued = commands.flatMap(({ options }) => options).concat(common);
  const names = new Set(valued.filter((each) => each.value !== undefined).map(({ name }) => `--${name}`));
  return `${header("fish")}

# Whether the command line is at a command, "" for none yet, and, when it is given, at that many words after it.
function __orchestrator_merge_at --argument-names wanted count
    set -l words (commandline -opc)
    set -l found
    set -l skip
    for word in $words[2..-1]
        if set -q skip[1]
            set skip
        else if contains -- $word ${[...names].join(" ")}
            set skip 1
        else if not string match -q -- '-*' $word
            set -a found $word
        end
    end
    test "$found[1]" = "$wanted"; or return 1
    test -z "$count"; or test (count $found[2..-1]) -eq $count
end

complete -c orchestrator-merge -f
complete -c qs -w 'orchestrator-merge status'
${[
  ...common.map((each) => option("", each)),
  ...commands.map(({ name, about }) => line("''", `-a ${name} -d ${text(about)}`)),
  ...commands.flatMap(ofCommand),
].join("\n")}`;
}
