/** The blocks of data in the page, as `reporting/page/blocks.py` writes them. */
import { unzlibSync } from "fflate";

/** The bytes of a block. */
export async function readBlock(name: string): Promise<Uint8Array> {
  const text = document.getElementById(`data-${name}`)?.textContent;
  if (text == null) throw new Error(`the page has no data about ${name}: the file is cut short`);
  return inflate(fromBase64(text));
}

export function fromBase64(text: string): Uint8Array {
  const native = (Uint8Array as unknown as { fromBase64?: (text: string) => Uint8Array }).fromBase64;
  if (native) return native.call(Uint8Array, text);
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let at = 0; at < characters.length; at++) bytes[at] = characters.charCodeAt(at);
  return bytes;
}

export async function inflate(bytes: Uint8Array): Promise<Uint8Array> {
  if (typeof DecompressionStream === "undefined") return unzlibSync(bytes);
  const stream = new Blob([bytes as BlobPart]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The columns of integers, by name. */
export function readColumns(
  bytes: Uint8Array,
  columns: readonly (readonly [string, number])[],
): Map<string, Int32Array> {
  const found = new Map<string, Int32Array>();
  let at = 0;
  for (const [name, count] of columns) {
    const values = new Int32Array(count);
    for (let number = 0; number < count; number++) {
      let value = 0;
      let shift = 0;
      let byte: number;
      do {
        byte = bytes[at++] as number;
        value |= (byte & 0x7f) << shift;
        shift += 7;
      } while (byte & 0x80);
      values[number] = value;
    }
    found.set(name, values);
  }
  return found;
}

export function unzigzag(value: number): number {
  return (value >>> 1) ^ -(value & 1);
}
