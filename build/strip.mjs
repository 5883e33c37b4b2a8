import { BuildError } from "./tree.mjs";

/**
 * What strip(1) does, for the one shape Node's Linux binaries have: symbols and debug information, 18 of 127 MB, lie behind
 * everything that is loaded. Done here because the bytes must not depend on which binutils a host has, if any.
 * Field offsets are those of Elf64_Ehdr and Elf64_Shdr in elf(5).
 */
export function stripElf(elf) {
  const word = (at) => Number(elf.readBigUInt64LE(at));
  if (elf.readUInt32BE(0) !== 0x7f454c46 || elf[4] !== 2 || elf[5] !== 1)
    throw new BuildError(`Node is not a 64-bit ELF file.`);
  const table = word(0x28);
  const [size = 0, count = 0, namesIndex = 0] = [0x3a, 0x3c, 0x3e].map((at) => elf.readUInt16LE(at));
  const headers = Array.from({ length: count }, (_, index) => {
    const at = table + index * size;
    const [noBits, loaded] = [elf.readUInt32LE(at + 4) === 8, (word(at + 8) & 2) !== 0];
    return {
      bytes: elf.subarray(at, at + size),
      loaded,
      start: word(at + 0x18),
      end: word(at + 0x18) + (noBits ? 0 : word(at + 0x20)),
    };
  });
  // Sections refer to each other by index, so the kept ones must be the first ones; index 0 is the empty one.
  const kept = headers.filter((header, index) => index === 0 || header.loaded);
  if (kept.some((header, index) => header !== headers[index]))
    throw new BuildError(`Node has its sections in an unknown order.`);
  const names = headers[namesIndex];
  const align = (at) => Math.ceil(at / 16) * 16;
  const namesAt = align(Math.max(...kept.map((header) => header.end)));
  const tableAt = align(namesAt + names.end - names.start);
  const out = Buffer.alloc(tableAt + (kept.length + 1) * size);
  elf.copy(out, 0, 0, Math.max(...kept.map((header) => header.end)));
  elf.copy(out, namesAt, names.start, names.end);
  for (const [index, header] of [...kept, names].entries()) header.bytes.copy(out, tableAt + index * size);
  out.writeBigUInt64LE(BigInt(namesAt), tableAt + kept.length * size + 0x18);
  out.writeBigUInt64LE(BigInt(tableAt), 0x28);
  out.writeUInt16LE(kept.length + 1, 0x3c);
  out.writeUInt16LE(kept.length, 0x3e);
  return out;
}
