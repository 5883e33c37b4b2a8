/** The file at the top of a project that shows what it is, by type. A name that begins with a dot is an ending. */
const markers = {
  node: ["package.json"],
  deno: ["deno.json", "deno.jsonc"],
  python: ["pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "Pipfile"],
  rust: ["Cargo.toml"],
  go: ["go.mod"],
  java: ["pom.xml", "build.gradle", "build.gradle.kts"],
  ruby: ["Gemfile"],
  php: ["composer.json"],
  dotnet: [".sln", ".slnx", ".csproj", ".fsproj"],
  swift: ["Package.swift"],
  elixir: ["mix.exs"],
  cpp: ["CMakeLists.txt", "meson.build"],
} as const satisfies Record<string, readonly string[]>;

type ProjectType = keyof typeof markers;

/** Every type there is a marker for. */
export const projectTypes = Object.keys(markers) as [ProjectType, ...ProjectType[]]; // the literal above is not empty

/** What the files at the top of a tree show it to be; several for a project of several kinds, none when nothing tells. */
export function projectTypesOf(files: readonly string[]): Set<ProjectType> {
  const isMarker = (marker: string) => (file: string) =>
    marker.startsWith(".") ? file.endsWith(marker) : file === marker;
  return new Set(projectTypes.filter((type) => markers[type].some((marker) => files.some(isMarker(marker)))));
}
