/** A device was lost, ran out of memory or refused a command; another backend can do its work. */
export class DeviceError extends Error {
  /** Always `"DeviceError"`. */
  override readonly name = "DeviceError";
}
