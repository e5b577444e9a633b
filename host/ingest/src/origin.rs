//! Where a connection comes from, and among whose connections it is counted: those of its address, and of tokens that
//! limit theirs.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::net::TcpStream;
use weir_access::{Access, Account, Caller, Denied, Place, Resource};

/// The origin of a connection. Dropping it frees its places.
pub(crate) struct Origin {
    pub(crate) address: IpAddr,
    pub(crate) account: Arc<Account>,
    _place: Option<Place>,
    /// At most one for each token.
    of_tokens: Mutex<Vec<Place>>,
}

impl Origin {
    /// Counts a connection, unless its address has too many.
    pub(crate) fn of(stream: &TcpStream, access: &Access) -> Result<Origin, Denied> {
        // A connection whose address can't be read any more is over.
        let address = stream.peer_addr().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.ip().to_canonical());
        Origin::of_address(address, access)
    }

    pub(crate) fn of_address(address: IpAddr, access: &Access) -> Result<Origin, Denied> {
        let account = access.account(address);
        let place = access.connection(&account)?;
        Ok(Origin { address, account, _place: place, of_tokens: Mutex::default() })
    }

    /// Counts the connection among those of its caller's token, if that limits them.
    pub(crate) fn count_for(&self, caller: &Caller, access: &Access) -> Result<(), Denied> {
        let Some(grant) = caller.grant() else { return Ok(()) };
        let Some(limit) = grant.quota().get(Resource::Connections) else { return Ok(()) };
        // A panic can't leave the list inconsistent.
        let mut places = self.of_tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if !places.iter().any(|place| place.is_of(grant.account())) {
            places.extend(access.connection_of_token(grant.account(), limit)?);
        }
        Ok(())
    }
}
