// What Weir calls in a filter that remembers something.
export * from "./exports";
export { weir_packed_state_tick, weir_packed_state_save, weir_packed_state_restore } from "./index";
