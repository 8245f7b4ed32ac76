/** @file Reads and writes little-endian binary. A reader never reads past its end: it turns `failed` and gives zeros. */

export class Writer {
  private bytes: Uint8Array;
  private length = 0;

  /** Grows beyond the bytes it begins with. */
  constructor(capacity = 256) {
    this.bytes = new Uint8Array(capacity);
  }

  u8(x: number): this {
    const at = this.grow(1); // may move the bytes
    this.bytes[at] = x;
    return this;
  }

  u16(x: number): this {
    return this.u8(x).u8(x >>> 8);
  }

  u32(x: number): this {
    const at = this.grow(4);
    return this.u32At(at, x);
  }

  /** An integer up to 2^53. */
  u53(x: number): this {
    return this.u32(x % 2 ** 32).u32(Math.floor(x / 2 ** 32));
  }

  /** A number rounded to float32. */
  f32(x: number): this {
    return this.u32(new Uint32Array(Float32Array.of(x).buffer)[0]!);
  }

  raw(bytes: Uint8Array): this {
    const at = this.grow(bytes.length);
    this.bytes.set(bytes, at);
    return this;
  }

  /** Over what was written before. */
  u32At(at: number, x: number): this {
    for (let i = 0; i < 4; i++) this.bytes[at + i] = x >>> (8 * i);
    return this;
  }

  /** Over what was written before. */
  rawAt(at: number, bytes: Uint8Array): this {
    this.bytes.set(bytes, at);
    return this;
  }

  /** What was written from there on; not a copy. */
  written(from: number): Uint8Array {
    return this.bytes.subarray(from, this.length);
  }

  /** Text of ASCII characters, length first. */
  ascii(text: string): this {
    this.u16(text.length);
    const at = this.grow(text.length);
    for (let i = 0; i < text.length; i++) this.bytes[at + i] = text.charCodeAt(i) & 127;
    return this;
  }

  finish(): Uint8Array {
    return this.length === this.bytes.length ? this.bytes : this.bytes.slice(0, this.length);
  }

  private grow(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.bytes.length) {
      const larger = new Uint8Array(Math.max(this.length, 2 * this.bytes.length));
      larger.set(this.bytes);
      this.bytes = larger;
    }
    return at;
  }
}

export class Reader {
  failed = false;
  private readonly bytes: Uint8Array;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  u8(): number {
    const at = this.take(1);
    return this.failed ? 0 : this.bytes[at]!;
  }

  u16(): number {
    const low = this.u8();
    return low + 2 ** 8 * this.u8();
  }

  u32(): number {
    const low = this.u16();
    return low + 2 ** 16 * this.u16();
  }

  u53(): number {
    const low = this.u32();
    const high = this.u32();
    if (high >= 2 ** 21) this.failed = true;
    return low + high * 2 ** 32;
  }

  f32(): number {
    return new Float32Array(Uint32Array.of(this.u32()).buffer)[0]!;
  }

  raw(count: number): Uint8Array {
    const at = this.take(count);
    return this.failed ? new Uint8Array() : this.bytes.subarray(at, at + count);
  }

  /** Whether the next bytes are these. */
  expect(bytes: Uint8Array): boolean {
    const at = this.take(bytes.length);
    if (this.failed) return false;
    for (let i = 0; i < bytes.length; i++) if (this.bytes[at + i] !== bytes[i]) return false;
    return true;
  }

  ascii(): string {
    const bytes = this.raw(this.u16());
    if (bytes.some((b) => b < 32 || b > 126)) this.failed = true;
    return String.fromCharCode(...bytes);
  }

  /** Bytes not read yet. */
  left(): number {
    return this.bytes.length - this.at;
  }

  /** Whether everything was read and nothing was missing. */
  done(): boolean {
    return !this.failed && this.at === this.bytes.length;
  }

  private take(count: number): number {
    const at = this.at;
    if (at + count > this.bytes.length) this.failed = true;
    else this.at += count;
    return at;
  }
}

export function fromHex(text: string): Uint8Array {
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
