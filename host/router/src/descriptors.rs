//! File descriptors: raises the limit as far as possible, and limits the number of connections, so that descriptors
//! remain for the journal, the sinks and other files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::limits;

/// Raises the soft limit on open files to the hard one.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!("can't raise the limit on open files from {:?} to {:?}: {error}", limit.current, limit.maximum);
    }
}

/// The number of connections that the limit on open files allows with this number of sinks. Logs a warning if it is
/// less than `wanted`.
pub fn for_connections(wanted: usize, sinks: usize) -> usize {
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return wanted;
    };
    let left = left_for_connections(usize::try_from(limit).unwrap_or(usize::MAX), sinks);
    if left < wanted {
        tracing::warn!(
            "at most {left} connections at a time instead of {wanted} (`http.max_connections`): this process may open \
             {limit} files; raise its limit (`ulimit -n`, or `LimitNOFILE` of a systemd unit)"
        );
    }
    wanted.min(left)
}

/// The part of the limit that is left for connections; at least a quarter.
fn left_for_connections(limit: usize, sinks: usize) -> usize {
    let others = limits::DESCRIPTORS + sinks.saturating_mul(limits::DESCRIPTORS_PER_SINK);
    limit.saturating_sub(others).max(limit / 4).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_get_the_remaining_descriptors_but_at_least_a_quarter() {
        assert_eq!(left_for_connections(1024, 2), 1024 - limits::DESCRIPTORS - 2 * limits::DESCRIPTORS_PER_SINK);
        assert_eq!(left_for_connections(256, 100), 64);
        assert_eq!(left_for_connections(2, 0), 1);
    }

    #[test]
    fn the_soft_limit_is_raised_to_the_hard_limit() {
        raise_limit();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
