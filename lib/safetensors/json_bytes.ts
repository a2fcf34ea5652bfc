/** What bytes of JSON are, and the texts they stand for. */

/** Fails on what is no UTF-8, and takes a byte order mark for a character. */
export const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const LATIN1 = new TextDecoder("latin1");

/** Bytes of a text that is put together without a decoder. */
const SHORT_BYTES = 64;

/** The text of ASCII bytes. A decoder takes longer to call than a short text takes to be put together. */
export function decodeAscii(bytes: Uint8Array): string {
  if (bytes.length > SHORT_BYTES) return LATIN1.decode(bytes);
  return String.fromCharCode.apply(null, bytes as unknown as number[]);
}

/** Whether bytes are those of a text in ISO 8859-1. */
export function isText(bytes: Uint8Array, text: string): boolean {
  if (bytes.length !== text.length) return false;
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== text.charCodeAt(i)) return false;
  return true;
}

/** Whether a byte is a digit. */
export function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

/** Digits, sign, point and exponent. */
export function isPartOfNumber(byte: number): boolean {
  return isDigit(byte) || byte === 0x2d || byte === 0x2e || byte === 0x2b ||
    byte === 0x65 || byte === 0x45;
}

/** A number at the start of a text. */
export const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/;
