//! Compiles a module's file and links its imports.

use wasmtime::component::{Component, InstancePre};

use crate::component::{check, component_bytes, invalid, is_served, missing};
use crate::engine::Engine;
use crate::error::{LoadErrorKind, one_line};
use crate::guest::HostState;
use crate::v1::Contract;
use crate::wasi;

/// Compiles a component or a core module, and resolves its imports.
pub(crate) fn compile(engine: &Engine, file: &[u8]) -> Result<(InstancePre<HostState>, Contract), LoadErrorKind> {
    check(file)?;
    engine.ensure_compilable(file)?;
    let bytes = component_bytes(file)?;
    let component = Component::from_binary(&engine.runtime.wasmtime, &bytes).map_err(|error| invalid(&error))?;
    let Some(contract) = Contract::find(&component) else { return Err(no_world(engine, &component)) };
    check_imports(engine, &component)?;
    let mut linker = engine.linker.clone();
    let shape = |error: wasmtime::Error| LoadErrorKind::WrongShape(one_line(&format!("{error:#}")));
    wasi::link(&mut linker, &component).map_err(shape)?;
    let pre = linker.instantiate_pre(&component).map_err(shape)?;
    Ok((pre, contract))
}

fn no_world(engine: &Engine, component: &Component) -> LoadErrorKind {
    let ty = component.component_type();
    let names: Vec<String> = ty.exports(&engine.runtime.wasmtime).map(|(name, _)| name.to_owned()).collect();
    missing(names.iter().map(String::as_str))
}

fn check_imports(engine: &Engine, component: &Component) -> Result<(), LoadErrorKind> {
    let ty = component.component_type();
    for (name, _) in ty.imports(&engine.runtime.wasmtime) {
        if name.starts_with("weir:filter/") && !is_served(name) {
            return Err(LoadErrorKind::OtherVersion(one_line(name)));
        }
        if !name.starts_with("wasi:") && !name.starts_with("weir:filter/") {
            return Err(LoadErrorKind::UnknownImport(one_line(name)));
        }
    }
    Ok(())
}
