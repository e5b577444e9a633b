//! Adapts core modules as compilers write them, so that the component encoder accepts them.
//!
//! - **Plain names.** Some languages can't name an export `weir:filter/packed@1.0.0#process`. They use
//!   `weir_packed_process`, which is renamed here. `weir_post_packed_process` is called after the result of `process`
//!   was read.
//! - **Allocating for the host.** The component model forbids a module to call imports while it allocates memory for
//!   its caller, but a runtime's garbage collector may read the clock there. So modules that import WASI preview 1 get
//!   a global that is 1 meanwhile, which our WASI checks before it calls the host.
//!
//! Modules only get additions; no existing index changes.

use wasm_encoder::reencode::{self, Reencode as _, RoundtripReencoder};
use wasm_encoder::{
    CodeSection, ConstExpr, ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType, Module,
    RawSection, ValType,
};
use wasmparser::{CompositeInnerType, Parser, Payload, TypeRef};

use crate::{v1, v2};

/// The export name of the global. `wasi/preview1.wat` imports it.
const BUSY: &str = "weir_busy";

/// Exports that must not call an import.
const GUARDED: [&str; 4] = ["cabi_realloc", "cabi_import_realloc", "canonical_abi_realloc", "cabi_post_"];

/// The contract's name for a plain name.
pub(crate) fn contract_name(plain: &str) -> Option<String> {
    let (prefix, rest) = match plain.strip_prefix("weir_post_") {
        Some(rest) => ("cabi_post_", rest),
        None => ("", plain.strip_prefix("weir_")?),
    };
    // Longer names first: `packed_` is a prefix of `packed_state_`.
    let interfaces = [
        ("lifecycle_", v1::LIFECYCLE),
        ("holding_", v2::HOLDING),
        ("packed_state_", v1::PACKED_STATE),
        ("typed_state_", v1::TYPED_STATE),
        ("packed_", v1::PACKED),
        ("typed_", v1::TYPED),
    ];
    interfaces.iter().find_map(|(short, interface)| Some(format!("{prefix}{interface}#{}", rest.strip_prefix(short)?)))
}

/// Renames a module's exports to the names of the contract, and wraps those that must not call an import.
pub(crate) fn adapt(module: &[u8], guard: bool) -> Result<Vec<u8>, reencode::Error> {
    let outline = Outline::read(module)?;
    let guarded: Vec<u32> =
        outline.exports.iter().filter(|export| guard && export.is_guarded()).map(|export| export.index).collect();
    let mut out = Module::new();
    let (mut has_globals, mut code) = (false, CodeSection::new());
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::FunctionSection(functions) if guard => {
                let mut section = FunctionSection::new();
                RoundtripReencoder.parse_function_section(&mut section, functions)?;
                guarded.iter().for_each(|&function| _ = section.function(outline.type_of(function)));
                out.section(&section);
            }
            Payload::GlobalSection(globals) if guard => {
                let mut section = GlobalSection::new();
                RoundtripReencoder.parse_global_section(&mut section, globals)?;
                add_busy(&mut section);
                out.section(&section);
                has_globals = true;
            }
            Payload::ExportSection(_) => {
                if guard && !has_globals {
                    let mut section = GlobalSection::new();
                    add_busy(&mut section);
                    out.section(&section);
                }
                out.section(&outline.exports(&guarded, guard));
            }
            // The section is written with its last function.
            Payload::CodeSectionStart { .. } if guard => {}
            Payload::CodeSectionEntry(body) if guard => {
                code.raw(body.as_bytes());
                if code.len() == outline.bodies {
                    guarded.iter().for_each(|&function| _ = code.function(&guard_of(function, &outline)));
                    out.section(&code);
                }
            }
            other => {
                if let Some((id, range)) = other.as_section() {
                    out.section(&RawSection { id, data: &module[range] });
                }
            }
        }
    }
    Ok(out.finish())
}

struct Export {
    name: String,
    kind: ExportKind,
    index: u32,
}

impl Export {
    fn is_guarded(&self) -> bool {
        let name = contract_name(&self.name).unwrap_or_else(|| self.name.clone());
        self.kind == ExportKind::Func && GUARDED.iter().any(|guarded| name.starts_with(guarded))
    }
}

/// What must be known of a module to add to it.
#[derive(Default)]
struct Outline {
    /// The number of parameters of each type; 0 for types that are not functions.
    parameters: Vec<u32>,
    /// The type of each function.
    functions: Vec<u32>,
    /// Functions with a body.
    bodies: u32,
    globals: u32,
    exports: Vec<Export>,
}

impl Outline {
    fn read(module: &[u8]) -> Result<Self, reencode::Error> {
        let mut outline = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::TypeSection(types) => {
                    for group in types {
                        outline.parameters.extend(group?.types().map(|ty| match &ty.composite_type.inner {
                            CompositeInnerType::Func(function) => function.params().len() as u32,
                            _ => 0,
                        }));
                    }
                }
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        match import?.ty {
                            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => outline.functions.push(ty),
                            TypeRef::Global(_) => outline.globals += 1,
                            _ => {}
                        }
                    }
                }
                Payload::FunctionSection(functions) => {
                    for ty in functions {
                        outline.functions.push(ty?);
                    }
                }
                Payload::GlobalSection(globals) => outline.globals += globals.count(),
                Payload::CodeSectionStart { count, .. } => outline.bodies = count,
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export?;
                        let kind = RoundtripReencoder.export_kind(export.kind)?;
                        outline.exports.push(Export { name: export.name.to_owned(), kind, index: export.index });
                    }
                }
                _ => {}
            }
        }
        Ok(outline)
    }

    fn type_of(&self, function: u32) -> u32 {
        self.functions.get(function as usize).copied().unwrap_or_default()
    }

    /// The exports with the contract's names, guards in place of the functions they wrap, and optionally the global.
    fn exports(&self, guarded: &[u32], busy: bool) -> ExportSection {
        let mut section = ExportSection::new();
        for export in &self.exports {
            let name = contract_name(&export.name).unwrap_or_else(|| export.name.clone());
            let place = guarded.iter().position(|&index| export.is_guarded() && index == export.index);
            let index = place.map_or(export.index, |place| (self.functions.len() + place) as u32);
            section.export(&name, export.kind, index);
        }
        if busy {
            section.export(BUSY, ExportKind::Global, self.globals);
        }
        section
    }
}

/// A mutable i32, initially 0.
fn add_busy(globals: &mut GlobalSection) {
    let ty = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
    globals.global(ty, &ConstExpr::i32_const(0));
}

/// A function that calls another one while the global is set.
fn guard_of(function: u32, outline: &Outline) -> Function {
    let parameters = outline.parameters.get(outline.type_of(function) as usize).copied().unwrap_or_default();
    let mut guard = Function::new([]);
    let mut body = guard.instructions();
    body.i32_const(1).global_set(outline.globals);
    for parameter in 0..parameters {
        body.local_get(parameter);
    }
    body.call(function).i32_const(0).global_set(outline.globals).end();
    guard
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_export_names_map_to_contract_names() {
        let expected = Some(format!("{}#process", v1::PACKED));
        assert_eq!(contract_name("weir_packed_process"), expected);
        assert_eq!(contract_name("weir_packed_state_tick"), Some(format!("{}#tick", v1::PACKED_STATE)));
        assert_eq!(contract_name("weir_post_packed_process"), Some(format!("cabi_post_{}#process", v1::PACKED)));
        assert_eq!(contract_name("weir_holding_tick"), Some(format!("{}#tick", v2::HOLDING)));
        assert_eq!(contract_name("memory"), None);
        assert_eq!(contract_name("weir_other"), None);
    }

    #[test]
    fn allocating_sets_the_busy_global_and_leaves_other_exports_unchanged() {
        let text = r#"(module
            (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
            (memory (export "memory") 1)
            (func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local.get 3))
            (func (export "weir_packed_encoding") (result i32) (call $realloc (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 7))))"#;
        let adapted = adapt(&wat::parse_str(text).unwrap(), true).unwrap();
        let outline = Outline::read(&adapted).unwrap();
        let of = |name: &str| outline.exports.iter().find(|export| export.name == name).map(|export| export.index);
        // The import, two functions, and then the guard.
        assert_eq!(of("cabi_realloc"), Some(3));
        assert_eq!(of(&format!("{}#encoding", v1::PACKED)), Some(2));
        assert_eq!(of(BUSY), Some(0));
        let engine = wasmtime::Engine::default();
        wasmtime::Module::new(&engine, &adapted).unwrap();
    }
}
