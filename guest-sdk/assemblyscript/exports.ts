// What Weir calls in a filter that remembers nothing.
export {
  cabi_realloc,
  weir_lifecycle_describe,
  weir_lifecycle_configure,
  weir_packed_encoding,
  weir_packed_process,
} from "./index";
