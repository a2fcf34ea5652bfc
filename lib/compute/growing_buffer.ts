/** Buffers of a device that are made when they are first needed, and again when they are too small. */

/** A buffer that grows to what is asked for. */
export interface GrowingBuffer {
  /** The buffer with at least so many bytes; one made anew is all zero. */
  atLeast(size: number): GPUBuffer;
  /** Releases it. */
  destroy(): void;
}

/** Declares a buffer. */
export function growing(device: GPUDevice, usage: number, label: string): GrowingBuffer {
  let buffer: GPUBuffer | undefined;
  return {
    atLeast(size) {
      if (buffer === undefined || buffer.size < size) {
        buffer?.destroy();
        buffer = device.createBuffer({ label, size: Math.ceil(size / 256) * 256, usage });
      }
      return buffer;
    },
    destroy: () => buffer?.destroy(),
  };
}
