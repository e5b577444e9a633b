// The exports of a filter without state.
export {
  cabi_realloc,
  weir_lifecycle_describe,
  weir_lifecycle_configure,
  weir_packed_encoding,
  weir_packed_process,
} from "./index";
