//! Core modules as compilers leave them, made such that the component encoder takes them.
//!
//! - **Plain names.** Some languages can't write `weir:filter/packed@1.0.0#process` as an export's name. They write
//!   `weir_packed_process`, and here it becomes that; `weir_post_packed_process` is what is called after the result of
//!   `process` was read.
//! - **Allocating for the host.** While a module allocates memory for its caller it can't call anybody: the component
//!   model forbids it. But a runtime's collector may well look at the clock there. So modules that import WASI's first
//!   version get a global that is 1 meanwhile, and the WASI that they are given looks at it before it asks the host.
//!
//! A module is only added to; no index that is in it changes.

use std::ops::Range;

use wasmparser::{BinaryReaderError, CompositeInnerType, ExternalKind, Parser, Payload, TypeRef};

use crate::{v1, v2};

/// The global's export. `wasi/preview1.wat` imports it.
const BUSY: &str = "weir_busy";

/// Exports that are called when nobody may be called back.
const GUARDED: [&str; 4] = ["cabi_realloc", "cabi_import_realloc", "canonical_abi_realloc", "cabi_post_"];

/// The name in the contract for which a plain one stands.
pub(crate) fn contract_name(plain: &str) -> Option<String> {
    let (prefix, rest) = match plain.strip_prefix("weir_post_") {
        Some(rest) => ("cabi_post_", rest),
        None => ("", plain.strip_prefix("weir_")?),
    };
    // Those with a longer name first: `packed_` is the beginning of `packed_state_`.
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

/// Gives a module's exports the names of the contract, and guards what is called while it can't call back.
pub(crate) fn adapt(module: &[u8], guard: bool) -> Result<Vec<u8>, BinaryReaderError> {
    let outline = Outline::read(module)?;
    let guarded: Vec<u32> = match guard {
        true => outline.exports.iter().filter(|export| export.is_guarded()).map(|export| export.index).collect(),
        false => Vec::new(),
    };
    let mut out = module[..8].to_vec();
    let mut has_globals = false;
    for (id, range) in &outline.sections {
        let bytes = &module[range.clone()];
        match (*id, guard) {
            (FUNCTIONS, true) => {
                let types = guarded.iter().map(|&function| outline.type_of(function));
                append(&mut out, FUNCTIONS, bytes, guarded.len(), |more| types.for_each(|ty| leb(more, ty)));
            }
            (GLOBALS, true) => {
                append(&mut out, GLOBALS, bytes, 1, |more| more.extend(BUSY_GLOBAL));
                has_globals = true;
            }
            (EXPORTS, _) => {
                if guard && !has_globals {
                    append(&mut out, GLOBALS, &[0], 1, |more| more.extend(BUSY_GLOBAL));
                }
                let guard_of = |export: &Export| {
                    let place = guarded.iter().position(|&index| export.is_guarded() && index == export.index)?;
                    Some((outline.functions.len() + place) as u32)
                };
                outline.write_exports(guard_of, guard, &mut out);
            }
            (CODE, true) => append(&mut out, CODE, bytes, guarded.len(), |more| {
                guarded.iter().for_each(|&function| write_guard(function, &outline, more));
            }),
            (id, _) => section(&mut out, id, bytes),
        }
    }
    Ok(out)
}

pub(crate) const FUNCTIONS: u8 = 3;
const GLOBALS: u8 = 6;
pub(crate) const EXPORTS: u8 = 7;
pub(crate) const CODE: u8 = 10;

/// A mutable i32 that begins as 0.
const BUSY_GLOBAL: [u8; 5] = [0x7f, 1, 0x41, 0, 0x0b];

pub(crate) struct Export {
    pub name: String,
    kind: u8,
    pub index: u32,
}

impl Export {
    fn is_guarded(&self) -> bool {
        let name = contract_name(&self.name).unwrap_or_else(|| self.name.clone());
        self.kind == 0 && GUARDED.iter().any(|guarded| name.starts_with(guarded))
    }
}

/// What has to be known of a module to add to it.
#[derive(Default)]
pub(crate) struct Outline {
    pub sections: Vec<(u8, Range<usize>)>,
    /// Of each type, how many parameters; of other types than functions', none.
    parameters: Vec<u32>,
    /// Of each function, its type.
    pub functions: Vec<u32>,
    globals: u32,
    exports: Vec<Export>,
}

impl Outline {
    pub fn read(module: &[u8]) -> Result<Self, BinaryReaderError> {
        let mut outline = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            let payload = payload?;
            if let Some(section) = payload.as_section() {
                outline.sections.push(section);
            }
            match payload {
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
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export?;
                        let kind = match export.kind {
                            ExternalKind::Func | ExternalKind::FuncExact => 0,
                            ExternalKind::Table => 1,
                            ExternalKind::Memory => 2,
                            ExternalKind::Global => 3,
                            ExternalKind::Tag => 4,
                        };
                        outline.exports.push(Export { name: export.name.to_owned(), kind, index: export.index });
                    }
                }
                _ => {}
            }
        }
        Ok(outline)
    }

    /// The function that is exported under a name.
    pub fn exported(&self, name: &str) -> Option<u32> {
        self.exports.iter().find(|export| export.kind == 0 && export.name == name).map(|export| export.index)
    }

    pub fn type_of(&self, function: u32) -> u32 {
        self.functions.get(function as usize).copied().unwrap_or_default()
    }

    /// The exports, some with another function in their place, and perhaps the global.
    pub fn write_exports(&self, in_its_place: impl Fn(&Export) -> Option<u32>, busy: bool, out: &mut Vec<u8>) {
        let mut bytes = Vec::new();
        leb(&mut bytes, self.exports.len() as u32 + u32::from(busy));
        let mut entry = |name: &str, kind: u8, index: u32| {
            leb(&mut bytes, name.len() as u32);
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(kind);
            leb(&mut bytes, index);
        };
        for export in &self.exports {
            let name = contract_name(&export.name).unwrap_or_else(|| export.name.clone());
            entry(&name, export.kind, in_its_place(export).unwrap_or(export.index));
        }
        if busy {
            entry(BUSY, 3, self.globals);
        }
        section(out, EXPORTS, &bytes);
    }
}

/// A function that calls another with the global set.
fn write_guard(function: u32, outline: &Outline, out: &mut Vec<u8>) {
    let mut body = vec![0];
    let set = |value: u8, body: &mut Vec<u8>| {
        body.extend([0x41, value, 0x24]);
        leb(body, outline.globals);
    };
    set(1, &mut body);
    for parameter in 0..outline.parameters.get(outline.type_of(function) as usize).copied().unwrap_or_default() {
        body.push(0x20);
        leb(&mut body, parameter);
    }
    body.push(0x10);
    leb(&mut body, function);
    set(0, &mut body);
    body.push(0x0b);
    leb(out, body.len() as u32);
    out.extend(body);
}

pub(crate) fn section(out: &mut Vec<u8>, id: u8, bytes: &[u8]) {
    out.push(id);
    leb(out, bytes.len() as u32);
    out.extend_from_slice(bytes);
}

/// Writes a section that is a count and as many items, with more items at its end.
pub(crate) fn append(out: &mut Vec<u8>, id: u8, bytes: &[u8], more: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let length = bytes.iter().take_while(|&&byte| byte & 0x80 != 0).count() + 1;
    let (count, items) = bytes.split_at(length.min(bytes.len()));
    let count = count.iter().rev().fold(0, |count, &byte| count << 7 | u32::from(byte & 0x7f));
    let mut whole = Vec::with_capacity(bytes.len() + 16 * more);
    leb(&mut whole, count + more as u32);
    whole.extend_from_slice(items);
    write(&mut whole);
    section(out, id, &whole);
}

/// Seven bits a byte, least significant first.
pub(crate) fn leb(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_stand_for_those_of_the_contract() {
        let expected = Some(format!("{}#process", v1::PACKED));
        assert_eq!(contract_name("weir_packed_process"), expected);
        assert_eq!(contract_name("weir_packed_state_tick"), Some(format!("{}#tick", v1::PACKED_STATE)));
        assert_eq!(contract_name("weir_post_packed_process"), Some(format!("cabi_post_{}#process", v1::PACKED)));
        assert_eq!(contract_name("weir_holding_tick"), Some(format!("{}#tick", v2::HOLDING)));
        assert_eq!(contract_name("memory"), None);
        assert_eq!(contract_name("weir_other"), None);
    }

    #[test]
    fn an_allocation_sets_the_global_and_nothing_else_changes() {
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
