//! What the server has subscriptions for: it remembers them with the session.

use super::packet::{Packet, Version};
use crate::destination::{Delivery, Destination, Position, Stopping};
use crate::limits;
use crate::source::End;

/// The ids of the two packets about topics.
const SUBSCRIBE: u16 = 1;
const UNSUBSCRIBE: u16 = 2;

/// What this client subscribes to. Topics that are no longer configured have to be unsubscribed from; which ones they are is
/// a position.
pub(super) struct Topics<'a> {
    wanted: &'a [String],
    /// Those that the server has, or will have.
    known: Vec<String>,
    key: Vec<u8>,
    /// Positions that mean nothing any more.
    forgotten: Vec<Position>,
    /// The answers that are still to come.
    lacking: usize,
}

impl<'a> Topics<'a> {
    /// `key` is that of the position. `is_resumed`: the server had the session already.
    pub fn begin(wanted: &'a [String], key: String, positions: Vec<Position>, is_resumed: bool) -> Topics<'a> {
        let key = key.into_bytes();
        let (own, mut forgotten): (Vec<_>, Vec<_>) = positions.into_iter().partition(|position| position.key == key);
        forgotten.iter_mut().for_each(|position| position.value = None);
        let stored = own.into_iter().find_map(|position| position.value).filter(|_| is_resumed).unwrap_or_default();
        let stored = String::from_utf8_lossy(&stored);
        // No topic contains a NUL.
        let mut known: Vec<String> = stored.split('\0').filter(|topic| !topic.is_empty()).map(str::to_owned).collect();
        let added: Vec<String> = wanted.iter().filter(|topic| !known.contains(topic)).cloned().collect();
        known.extend(added);
        Topics { wanted, known, key, forgotten, lacking: 0 }
    }

    fn removed(&self) -> Vec<String> {
        self.known.iter().filter(|topic| !self.wanted.contains(topic)).cloned().collect()
    }

    /// The packets that make the subscriptions of the server those that are wanted. All are sent each time: a server that was
    /// killed may have lost some.
    pub fn packets(&mut self, version: Version) -> Vec<u8> {
        let mut packets = version.subscribe(SUBSCRIBE, self.wanted);
        let removed = self.removed();
        self.lacking = 1 + usize::from(!removed.is_empty());
        if !removed.is_empty() {
            packets.extend(version.unsubscribe(UNSUBSCRIBE, &removed));
        }
        packets
    }

    /// Whether answers are still to come.
    pub fn is_waiting(&self) -> bool {
        self.lacking > 0
    }

    /// Stores which ones the server has, or will have.
    pub async fn store(&mut self, to: &Destination) -> Result<(), Stopping> {
        let mut positions = std::mem::take(&mut self.forgotten);
        positions.push(Position { key: self.key.clone(), value: Some(self.known.join("\0").into_bytes()) });
        to.deliver(Delivery { positions, ..Delivery::default() }).await
    }

    /// Looks at a packet that is not a message.
    pub async fn note(&mut self, packet: Packet, to: &Destination) -> Result<(), End> {
        match packet {
            Packet::Subscribed(results) => {
                for (topic, result) in self.wanted.iter().zip(results) {
                    result.map_err(|reason| format!("can't subscribe to `{topic}`: {reason}"))?;
                }
            }
            Packet::Unsubscribed => {}
            _ => return Ok(()),
        }
        self.lacking = self.lacking.saturating_sub(1);
        if self.lacking == 0 && self.known.len() > self.wanted.len() {
            self.known = self.wanted.to_vec();
            self.store(to).await?;
        }
        Ok(())
    }
}

/// Whether it is a topic as a subscription may name it.
pub(super) fn is_filter(topic: &str) -> bool {
    let plain = match topic.strip_prefix("$share/") {
        None => topic,
        Some(shared) => match shared.split_once('/') {
            Some((group, plain)) if !group.is_empty() && !group.contains(['+', '#']) => plain,
            _ => return false,
        },
    };
    let levels: Vec<&str> = plain.split('/').collect();
    let is_level = |(at, level): (usize, &&str)| match *level {
        "+" => true,
        "#" => at + 1 == levels.len(),
        level => !level.contains(['+', '#', '\0']),
    };
    !plain.is_empty() && topic.len() <= limits::MQTT_TOPIC_BYTES && levels.iter().enumerate().all(is_level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_may_have_wildcards_for_whole_levels_only() {
        for right in ["a", "a/b", "/", "+", "#", "+/b/#", "a//b", "$share/weir/a/+", "$SYS/#"] {
            assert!(is_filter(right), "{right}");
        }
        for wrong in ["", "a+", "a/#/b", "a#", "a/+b", "$share/weir", "$share//a", "$share/w+/a", "a\0b"] {
            assert!(!is_filter(wrong), "{wrong}");
        }
        assert!(!is_filter(&"x".repeat(limits::MQTT_TOPIC_BYTES + 1)));
    }

    #[test]
    fn topics_that_are_no_longer_wanted_are_unsubscribed_from_unless_the_session_is_new() {
        let wanted = ["a", "b"].map(String::from);
        let position = |key: &str, value: &str| Position { key: key.into(), value: Some(value.into()) };
        let own = position("here me", "b\0c");
        let positions = vec![own, position("elsewhere me", "d")];
        let topics = Topics::begin(&wanted, "here me".into(), positions.clone(), true);
        assert_eq!(
            (&topics.known[..], &topics.removed()[..]),
            (&["b", "c", "a"].map(String::from)[..], &["c".into()][..])
        );
        assert_eq!(topics.forgotten, [Position { key: b"elsewhere me".to_vec(), value: None }]);
        let topics = Topics::begin(&wanted, "here me".into(), positions, false);
        assert_eq!((&topics.known[..], topics.removed().len()), (&["a", "b"].map(String::from)[..], 0));
    }
}
