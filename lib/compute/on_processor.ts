/**
 * What is done beside a device, on the processor. The search goes through eight integers of 16 bits at a time,
 * while WGSL has none, and what it finds has to be here before the weights can be encoded. Compensation
 * comes here for a software adapter, which is slower than WebAssembly at it, and where a device cannot do it.
 */

import { floatBytes } from "../safetensors/dtype.ts";
import {
  blocksAcross,
  type EncodedTile,
  type FoundParams,
  type OwnParams,
  type SearchScheme,
  type SyncKernels,
  type Tile,
} from "./kernels.ts";
import { createWasmKernels } from "./wasm_kernels.ts";

/** What works for all lanes, which take turns on this thread. */
let kernels: SyncKernels | undefined;

/** See {@linkcode Kernels.compensate}. */
export function compensateOnProcessor(...args: Parameters<SyncKernels["compensate"]>): EncodedTile {
  kernels ??= createWasmKernels();
  return kernels.compensate(...args);
}

/** See {@linkcode Kernels.search}; as many rows at a time as suit the processor's cache. */
export function searchOnProcessor(
  bytes: Uint8Array,
  tile: Tile,
  own: OwnParams,
  scheme: SearchScheme,
): FoundParams {
  kernels ??= createWasmKernels();
  const { rows, columns, dtype } = tile;
  const across = blocksAcross(tile);
  const rowBytes = columns * floatBytes(dtype);
  const blocks = own.scale.length;
  const found = {
    scale: new Float32Array(blocks),
    zero_point: new Uint8Array(blocks),
    code_scale: new Float32Array(blocks),
  };
  const most = Math.max(1, Math.floor(kernels.tileBytes / rowBytes));
  for (let row = 0; row < rows; row += most) {
    const end = Math.min(rows, row + most);
    const [first, last] = [row * across, end * across];
    const part = kernels.search(
      bytes.subarray(row * rowBytes, end * rowBytes),
      { ...tile, rows: end - row },
      {
        scale: own.scale.subarray(first, last),
        zero_point: own.zero_point.subarray(first, last),
        largest: own.largest.subarray(first, last),
      },
      scheme,
    );
    found.scale.set(part.scale, first);
    found.zero_point.set(part.zero_point, first);
    found.code_scale.set(part.code_scale, first);
  }
  return found;
}
