//! The name of this router at a server that keeps something for it: random, and stored as a position, so that it stays the
//! same as long as the data folder, and two routers never have the same.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use crate::destination::{Delivery, Destination, Position, Stopping};

/// The name that is stored under this key, or a new one of letters and digits, which is stored.
pub(crate) async fn identity(to: &Destination, positions: &[Position], key: &[u8]) -> Result<String, Stopping> {
    let stored = positions.iter().find(|position| position.key == key).and_then(|found| found.value.clone());
    if let Some(name) = stored.and_then(|stored| String::from_utf8(stored).ok()) {
        return Ok(name);
    }
    // The system's random numbers: those of `fastrand` may be the same in two containers.
    let name = format!("weir{:016x}", RandomState::new().build_hasher().finish());
    let position = Position { key: key.to_vec(), value: Some(name.clone().into_bytes()) };
    to.deliver(Delivery { positions: vec![position], ..Delivery::default() }).await?;
    Ok(name)
}
