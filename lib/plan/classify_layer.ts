/** What a layer is for, told from its name, where that makes it a sensitive one. */

/**
 * What a sensitive layer is for:
 * - embedding: what turns patches, tokens, time, class, captions or images into the model's own
 *   vectors, and whatever refines only these
 * - norm
 * - modulation: what turns the embedding of time (and of a pooled text) into shift, scale and gate of
 *   tokens, whether each block has one of its own or all share one
 * - router: which experts a token goes to
 * - final layer: from the last block to patches
 * - output head: from the last block to tokens
 */
export type LayerKind =
  | "embedding"
  | "norm"
  | "modulation"
  | "router"
  | "final layer"
  | "output head";

/** What a file with several models, or a model of several parts, puts before a model's own names. */
const CONTAINER = /^((model\.)?diffusion_model|conditioner\.embedders\.\d+)\./;

/**
 * The first that matches a name counts. Names come from files and may be long, so each expression
 * takes time linear in the name's length: whatever repeats starts at the name's beginning, or stops
 * where the next one could start.
 */
const NAMED: readonly { kind: LayerKind; pattern: RegExp }[] = [
  // By its name an embedding of time, by what it makes the shift, scale and gate of all blocks at once,
  // as PixArt's adaln_single does: LTX and Sana, Wan.
  {
    kind: "modulation",
    pattern: /(^|[._])(time_embed\.linear|time_proj(ection\.\d+)?)$/,
  },
  { kind: "embedding", pattern: /embed|(^|[._])emb([._]|$)/i },
  {
    kind: "embedding",
    pattern: /(^|[._])(wte|wpe|(img|txt|time|vector|guidance|byt5|vision)_in)(\.|$)|(^|\.)shared$/,
  },
  // From captions, images, pooled texts and timesteps, by whatever name.
  {
    kind: "embedding",
    pattern: /(^|[._])((caption|text|visual)_projection|time_?step_proj)(\.|$)|_projector(\.|$)/,
  },
  {
    kind: "embedding",
    pattern:
      /(^|\.)(distilled_guidance_layer|encoder_hid_proj|add_time_condition|time_token|sigma_map)\./,
  },
  // A block has layers by such names as well, so only those outside of all blocks.
  {
    kind: "embedding",
    pattern:
      /^(([a-z]+_)?(proj_in|patchify_proj)|input_proj|init_x_linear|cond_seq_linear|llm_cond_proj|global_proj\.\d+|cross_attention_proj\.\d+|text_proj(_t5)?(\.\d+)?|encoder_proj|encoder_hidden_states_proj)$/,
  },
  // T5's table of distances, an embedding that no runtime loads quantized.
  { kind: "embedding", pattern: /(^|\.)relative_attention_bias$/ },
  // Lumina 2 keeps its final layer where others have a second modulation.
  { kind: "final layer", pattern: /^norm_out\.linear_2$/ },
  {
    kind: "modulation",
    pattern: /(^|[._])ada_?ln|modulation|_mod(_proj)?(\.|$)|(^|\.)mod(_[xy]|C|X|CX|F)?(\.|$)/i,
  },
  // LTX-2, between pictures and sound.
  { kind: "modulation", pattern: /(scale_shift|_(a2v|v2a)_gate)\.linear$/ },
  {
    kind: "final layer",
    pattern:
      /(^|[._])final_layer(\.|$)|^(([a-z]+_)?proj_out(_\d+)?|final_linear|out_layer\.out_layer)$|(^|\.)head\.head$/,
  },
  {
    kind: "output head",
    pattern: /(^|\.)(lm_head|output_head)$|(^|\.)(transformer\.ff_out|output_layer\.linear)$/,
  },
  { kind: "router", pattern: /(^|\.)(router(\.[^.]*)?|shared_expert_gate)$/ },
];

/** A part of a name that is a norm's. */
const NORM = /(^|[._])(ln(_f|_\d+)?(\.|$)|(layer)?norm\d*([._]|$))/i;

/** One part of an MLP: of experts it routes, of a gated one it is as large as the others. */
const GATE = /(^|\.)gate$/;

/**
 * What a layer is for, or undefined when it is an ordinary one: attention, MLP, whatever is in a block.
 *
 * @param name The module's name as in the file, without `.weight`.
 * @param shape Rows and columns of its matrix. Only a layer named `gate` is judged by them: experts are
 * fewer than a token's channels, while the gate of an MLP has more rows than columns.
 */
export function classifyLayer(
  name: string,
  [rows, columns]: readonly [rows: number, columns: number],
): LayerKind | undefined {
  const own = name.replace(CONTAINER, "");
  const named = NAMED.find(({ pattern }) => pattern.test(own));
  if (named !== undefined) return named.kind;
  const end = own.lastIndexOf(".");
  if (NORM.test(own.slice(end + 1))) return "norm";
  // A norm's own weights are a vector: a matrix below it makes what it shifts and scales by.
  if (end > 0 && NORM.test(own.slice(0, end))) return "modulation";
  if (GATE.test(own) && rows < columns) return "router";
  return undefined;
}
