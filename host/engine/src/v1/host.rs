//! The host functions that filters of any version can call: log, counter, time, and key-value store.

use wasmtime::component::Linker;
use weir_record::Level as RecordLevel;

use super::types::Level;
use crate::guest::HostState;

/// Adds the functions of `weir:filter/host`, in the version that the interface name has, to a linker.
pub(crate) fn link(linker: &mut Linker<HostState>, interface: &str) -> wasmtime::Result<()> {
    let mut host = linker.instance(interface)?;
    host.func_wrap("log", |store, (level, message): (Level, String)| {
        store.data().context.log(level.into(), &message);
        Ok(())
    })?;
    host.func_wrap("counter", |store, (name, delta): (String, u64)| {
        store.data().context.count(&name, delta);
        Ok(())
    })?;
    host.func_wrap("now", |store, ()| Ok((store.data().context.now_ns(),)))?;
    host.func_wrap("kv-get", |store, (key,): (String,)| {
        let (mut kv, now_ms) = store.data().context.kv();
        Ok((kv.get(&key, now_ms),))
    })?;
    host.func_wrap("kv-set", |store, (key, value, ttl_ms): (String, Vec<u8>, u64)| {
        let context = &store.data().context;
        let (mut kv, now_ms) = context.kv();
        let stored = kv.set(&key, value, ttl_ms, now_ms);
        drop(kv);
        if let Err(error) = stored {
            context.log(RecordLevel::Warning, &format!("kv-set: {error}"));
        }
        Ok(())
    })?;
    host.func_wrap("kv-add", |store, (key, delta, ttl_ms): (String, i64, u64)| {
        let context = &store.data().context;
        let (mut kv, now_ms) = context.kv();
        let sum = kv.add(&key, delta, ttl_ms, now_ms);
        drop(kv);
        Ok((sum.unwrap_or_else(|error| {
            context.log(RecordLevel::Warning, &format!("kv-add: {error}"));
            delta
        }),))
    })?;
    host.func_wrap("kv-delete", |store, (key,): (String,)| {
        let (mut kv, _) = store.data().context.kv();
        kv.delete(&key);
        Ok(())
    })
}
