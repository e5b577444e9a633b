//! What is known to be wrong in a language's runtime, put right when a component that brings it is loaded.
//!
//! **componentize-py** copies every list of bytes that Python returns, and with it what a filter makes of each batch, into
//! memory that it never frees: a filter grows by all that it returns. Its function `wit_dylib_pop_list` gives the copy,
//! and `wit_dylib_dealloc_bytes` can free it once the host has read it. So a function that calls both takes the place of
//! the first.
//!
//! To free twice would be worse than never. So the runtimes to which this is done are known by the digest of their code:
//! a release that frees by itself has another.

use sha2::{Digest, Sha256};
use wasmparser::BinaryReader;

use crate::adapt::{CODE, EXPORTS, FUNCTIONS, Outline, append, leb, section};

/// SHA-256 of the code of componentize-py's runtime, for each release that forgets.
const FORGETFUL: [&str; 2] = [
    // 0.25.0
    "332406e3f65b24d5614ecc045adf36090c8249c2f2c253e51e2b22db4647ba3d",
    // 0.25.1
    "fc668fcf3efc89daecda94ea5c7536d9e5fae2769431f37b1c5cd9c233c64a99",
];

/// Gives a copy of a list of bytes to whoever returns it.
const POP: &str = "wit_dylib_pop_list";
/// Frees memory, at once or when the call is over.
const FREE: &str = "wit_dylib_dealloc_bytes";

/// The id of a section that is a core module.
const MODULE: u8 = 1;

/// The component as it should be; none when nothing is known to be wrong with it.
pub(crate) fn mend(component: &[u8]) -> Option<Vec<u8>> {
    let (header, mut sections) = (component.get(..8)?, BinaryReader::new(component.get(8..)?, 8));
    let (mut out, mut mended) = (header.to_vec(), false);
    while !sections.eof() {
        let id = sections.read_u8().ok()?;
        let length = sections.read_var_u32().ok()?;
        let bytes = sections.read_bytes(length as usize).ok()?;
        let fresh = if id == MODULE { mend_module(bytes) } else { None };
        mended |= fresh.is_some();
        section(&mut out, id, fresh.as_deref().unwrap_or(bytes));
    }
    mended.then_some(out)
}

fn mend_module(module: &[u8]) -> Option<Vec<u8>> {
    let outline = Outline::read(module).ok()?;
    let (pop, free) = (outline.exported(POP)?, outline.exported(FREE)?);
    let (_, code) = outline.sections.iter().find(|(id, _)| *id == CODE)?;
    let digest = format!("{:x}", Sha256::digest(&module[code.clone()]));
    FORGETFUL.contains(&digest.as_str()).then(|| free_what_is_popped(module, &outline, pop, free))
}

fn free_what_is_popped(module: &[u8], outline: &Outline, pop: u32, free: u32) -> Vec<u8> {
    let mut out = module[..8].to_vec();
    for (id, range) in &outline.sections {
        let bytes = &module[range.clone()];
        match *id {
            FUNCTIONS => append(&mut out, FUNCTIONS, bytes, 1, |more| leb(more, outline.type_of(pop))),
            EXPORTS => {
                let added = outline.functions.len() as u32;
                outline.write_exports(|export| (export.name == POP).then_some(added), false, &mut out);
            }
            CODE => append(&mut out, CODE, bytes, 1, |more| write_pop(pop, free, more)),
            id => section(&mut out, id, bytes),
        }
    }
    out
}

/// `pop(call, type, &copy) -> length`, and then `free(call, copy, length, 1, later)` when there is a copy.
fn write_pop(pop: u32, free: u32, out: &mut Vec<u8>) {
    const GET: u8 = 0x20;
    const CALL: u8 = 0x10;
    const CONST: u8 = 0x41;
    const LOAD: [u8; 3] = [0x28, 2, 0];
    // One local, the length, behind three parameters.
    let mut body = vec![1, 1, 0x7f];
    body.extend([GET, 0, GET, 1, GET, 2, CALL]);
    leb(&mut body, pop);
    body.extend([0x21, 3, GET, 2]);
    body.extend(LOAD);
    body.extend([0x04, 0x40, GET, 0, GET, 2]);
    body.extend(LOAD);
    body.extend([GET, 3, CONST, 1, CONST, 1, CALL]);
    leb(&mut body, free);
    body.extend([0x0b, GET, 3, 0x0b]);
    leb(out, body.len() as u32);
    out.extend(body);
}

#[cfg(test)]
mod tests {
    use wasmtime::{Instance, Module, Store};

    use super::*;

    /// A runtime that gives a copy at 64 for type 7, and for others none.
    const RUNTIME: &str = r#"(module
        (memory (export "memory") 1)
        (global $freed (export "freed") (mut i32) (i32.const 0))
        (func (export "wit_dylib_pop_list") (param $call i32) (param $type i32) (param $place i32) (result i32)
            (i32.store (local.get $place) (select (i32.const 64) (i32.const 0) (i32.eq (local.get $type) (i32.const 7))))
            (i32.const 12))
        (func (export "wit_dylib_dealloc_bytes")
            (param $call i32) (param $copy i32) (param $length i32) (param $align i32) (param $later i32)
            (if (i32.and (i32.eq (local.get $align) (i32.const 1)) (local.get $later)) (then
                (global.set $freed (i32.add (local.get $call) (i32.add (local.get $copy) (local.get $length))))))))"#;

    #[test]
    fn a_copy_is_freed_when_the_call_is_over_and_only_a_copy() {
        let runtime = wat::parse_str(RUNTIME).unwrap();
        let outline = Outline::read(&runtime).unwrap();
        let (pop, free) = (outline.exported(POP).unwrap(), outline.exported(FREE).unwrap());
        let mended = free_what_is_popped(&runtime, &outline, pop, free);
        let engine = wasmtime::Engine::default();
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &Module::new(&engine, &mended).unwrap(), &[]).unwrap();
        let pop = instance.get_typed_func::<(i32, i32, i32), i32>(&mut store, POP).unwrap();
        let freed = instance.get_global(&mut store, "freed").unwrap();
        assert_eq!(pop.call(&mut store, (1000, 3, 8)).unwrap(), 12);
        assert_eq!(freed.get(&mut store).i32(), Some(0));
        assert_eq!(pop.call(&mut store, (1000, 7, 8)).unwrap(), 12);
        assert_eq!(freed.get(&mut store).i32(), Some(1000 + 64 + 12));
    }

    #[test]
    fn what_is_not_known_to_be_wrong_stays_as_it_is() {
        // A runtime of the same functions with other code, as one that frees by itself would have.
        let runtime = wat::parse_str(RUNTIME).unwrap();
        let mut component = wat::parse_str("(component)").unwrap();
        section(&mut component, MODULE, &runtime);
        assert_eq!(mend(&component), None);
        for length in 0..component.len() {
            assert_eq!(mend(&component[..length]), None);
        }
    }
}
