/** Opens what a run is given: a model, or a pipeline of several with its model_index.json. */

import { join } from "node:path";
import { BadInputError } from "../base/errors.ts";
import type { FileVersion } from "../base/file_version.ts";
import { quote } from "../base/text.ts";
import { listModelFiles, type ModelListing } from "./list_model_files.ts";
import { type Model, modelName, openListed, openModel, readJsonFile } from "./open_model.ts";

/** A model of a source, and where it lies in it. */
export interface SourcePart {
  /** Its folder in a pipeline; empty for a model of its own. */
  component: string;
  /** The model. */
  model: Model;
}

/** A model or a pipeline. */
export interface Source {
  /** Name for reports. */
  name: string;
  /** Real path. */
  directory: string;
  /** The models that are quantized. */
  parts: SourcePart[];
  /** Files taken over as they are, relative paths: all but the weights, configs and indexes of the parts. */
  sideFiles: string[];
  /** Files not taken over. */
  leftOut: string[];
  /** What each file was when it was listed, by its path. */
  versions: ReadonlyMap<string, FileVersion>;
}

/** Lists the components of a pipeline. */
export const PIPELINE_INDEX = "model_index.json";

/** Whether a directory is a pipeline's. */
export function isPipeline({ sideFiles }: ModelListing): boolean {
  return sideFiles.includes(PIPELINE_INDEX);
}

/** The folder at the top of a directory that a file lies in; empty for one at the top itself. */
export function folderOf(file: string): string {
  return file.slice(0, Math.max(0, file.indexOf("/")));
}

/** Names of what predicts noise in a pipeline, in the order of their use. */
const DENOISERS = ["transformer", "transformer_2", "unet"];

/**
 * Opens a model directory or a pipeline.
 *
 * @param components Folders of the components meant; none: the denoisers. A model has none.
 * @throws {BadInputError} Anything about it is missing, malformed or leads outside; the message names it.
 */
export function openSource(path: string, components: readonly string[]): Source {
  const listing = listModelFiles(path);
  if (isPipeline(listing)) {
    return openPipeline(listing, path, components);
  }
  if (components.length > 0) {
    throw new BadInputError(
      `Cannot choose component ${quote(components[0]!)} of ${quote(path)}: it has no ` +
        `${PIPELINE_INDEX}, so it is a model of its own: leave --component out`,
    );
  }
  const model = openListed(listing, path);
  const { name, directory, sideFiles, leftOut } = model;
  const { versions } = listing;
  return { name, directory, parts: [{ component: "", model }], sideFiles, leftOut, versions };
}

function openPipeline(
  listing: ModelListing,
  path: string,
  components: readonly string[],
): Source {
  const { directory } = listing;
  const name = modelName(directory);
  const declared = readComponents(directory);
  const files = [...listing.sideFiles, ...listing.leftOut];
  const known = declared.filter((one) => files.some((file) => file.startsWith(`${one}/`)));
  const has = describeComponents(known);
  const chosen = components.length > 0
    ? components
    : DENOISERS.filter((one) => declared.includes(one));
  if (chosen.length === 0) {
    throw new BadInputError(
      `Cannot tell what predicts noise in the pipeline ${
        quote(path)
      }: it has ${has}, none of them ` +
        `${DENOISERS.join(", ")}: give --component`,
    );
  }
  const missing = chosen.find((one) => !known.includes(one));
  if (missing !== undefined) {
    const what = declared.includes(missing)
      ? `${PIPELINE_INDEX} names it, but its folder holds no file: download it again`
      : `it has ${has}`;
    throw new BadInputError(
      `Component not found: ${quote(missing)} in the pipeline ${quote(path)}: ${what}`,
    );
  }
  const parts = chosen.map((component): SourcePart => {
    const model = openModel(join(path, component));
    return { component, model: { ...model, name: `${name}/${component}` } };
  });
  const below = (folder: string, files: readonly string[]) =>
    files.map((file) => `${folder}/${file}`);
  const others = new Set(known.filter((one) => !chosen.includes(one)));
  // Weights of the other components belong to the pipeline; those beside them are of another layout.
  const special = new Set(listing.special);
  const [kept, left] = partition(
    listing.leftOut,
    (file) => others.has(folderOf(file)) && !special.has(file),
  );
  const isOutside = (file: string) => !chosen.includes(folderOf(file));
  return {
    name,
    directory,
    parts,
    sideFiles: [
      ...listing.sideFiles.filter(isOutside),
      ...kept,
      ...parts.flatMap(({ component, model }) => below(component, model.sideFiles)),
    ].sort(),
    leftOut: [
      ...listing.weightFiles,
      ...listing.indexFiles,
      ...left.filter(isOutside),
      ...parts.flatMap(({ component, model }) => below(component, model.leftOut)),
    ].sort(),
    versions: listing.versions,
  };
}

/** Components named in a message. */
const NAMES_SHOWN = 10;

function describeComponents(names: readonly string[]): string {
  if (names.length === 0) return `no folder of a component that ${PIPELINE_INDEX} names`;
  const rest = names.length - NAMES_SHOWN;
  return names.slice(0, NAMES_SHOWN).map(quote).join(", ") + (rest > 0 ? `, and ${rest} more` : "");
}

/** The components that the index names; one that is left out is [null, null]. */
function readComponents(directory: string): string[] {
  const index = readJsonFile(directory, PIPELINE_INDEX);
  if (!(index instanceof Map)) {
    throw new BadInputError(`Cannot read "${PIPELINE_INDEX}": it is not a JSON object`);
  }
  return [...index].flatMap(([name, value]) =>
    Array.isArray(value) && value.some((part) => part !== null) ? [name] : []
  );
}

function partition<T>(items: readonly T[], test: (item: T) => boolean): [T[], T[]] {
  const { true: yes = [], false: no = [] } = Object.groupBy(
    items,
    (item) => `${test(item)}` as const,
  );
  return [yes, no];
}
