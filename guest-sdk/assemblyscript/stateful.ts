// The exports of a filter with state.
export * from "./exports";
export { weir_packed_state_tick, weir_packed_state_save, weir_packed_state_restore } from "./index";
