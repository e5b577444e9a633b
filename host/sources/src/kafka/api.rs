//! The kinds of requests in the versions that are spoken, and the codes of answers.
//!
//! Each in one version, which Kafka has understood since 2.3 (2019) and still understands in 4.x; metadata also in one that
//! tells the ids of topics.

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Api {
    pub key: i16,
    pub version: i16,
    pub name: &'static str,
}

const fn api(key: i16, version: i16, name: &'static str) -> Api {
    Api { key, version, name }
}

pub(super) const FETCH: Api = api(1, 10, "Fetch");
pub(super) const LIST_OFFSETS: Api = api(2, 2, "ListOffsets");
pub(super) const METADATA: Api = api(3, 4, "Metadata");
/// The first version with ids of topics, from Kafka 2.8 on. Its encoding is flexible.
pub(super) const METADATA_WITH_IDS: Api = api(3, 10, "Metadata");
pub(super) const OFFSET_COMMIT: Api = api(8, 7, "OffsetCommit");
pub(super) const OFFSET_FETCH: Api = api(9, 5, "OffsetFetch");
pub(super) const FIND_COORDINATOR: Api = api(10, 1, "FindCoordinator");
pub(super) const JOIN_GROUP: Api = api(11, 5, "JoinGroup");
pub(super) const HEARTBEAT: Api = api(12, 3, "Heartbeat");
pub(super) const LEAVE_GROUP: Api = api(13, 1, "LeaveGroup");
pub(super) const SYNC_GROUP: Api = api(14, 3, "SyncGroup");
pub(super) const SASL_HANDSHAKE: Api = api(17, 1, "SaslHandshake");
pub(super) const API_VERSIONS: Api = api(18, 0, "ApiVersions");
pub(super) const SASL_AUTHENTICATE: Api = api(36, 0, "SaslAuthenticate");

/// What every broker must understand.
pub(super) const NEEDED: &[Api] = &[
    FETCH,
    LIST_OFFSETS,
    METADATA,
    OFFSET_COMMIT,
    OFFSET_FETCH,
    FIND_COORDINATOR,
    JOIN_GROUP,
    HEARTBEAT,
    LEAVE_GROUP,
    SYNC_GROUP,
];

/// The code of an answer that is an error; 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code(pub i16);

impl Code {
    pub const NONE: Code = Code(0);
    pub const OFFSET_OUT_OF_RANGE: Code = Code(1);
    pub const ILLEGAL_GENERATION: Code = Code(22);
    pub const UNKNOWN_MEMBER: Code = Code(25);
    pub const REBALANCE: Code = Code(27);
    pub const MEMBER_ID_REQUIRED: Code = Code(79);

    /// Whether the partition has another leader by now, or will have one soon.
    pub fn is_moved(self) -> bool {
        // Unknown partition, no leader, another leader, storage error, fenced and unknown epochs of leaders.
        matches!(self.0, 3 | 5 | 6 | 56 | 74 | 75)
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = match self.0 {
            1 => "the offset is out of range",
            3 => "unknown topic or partition",
            5 => "the partition has no leader",
            6 => "the partition has another leader",
            7 => "the request timed out in the cluster",
            14 => "the coordinator is loading",
            15 => "the group has no coordinator",
            16 => "the group has another coordinator",
            17 => "the topic's name is invalid",
            22 => "the generation is over",
            23 => "other members of the group use other assignors: give Weir a `group` of its own",
            24 => "the name of the group is invalid",
            25 => "the member is not known any more",
            26 => "the cluster does not allow this `session`",
            27 => "the group is rebalancing",
            29 => "not authorized for the topic",
            30 => "not authorized for the group",
            33 => "the mechanism of `sasl` is not enabled",
            34 => "the broker expects no SASL on this port",
            35 => "the version is not supported",
            58 => "SASL authentication failed: check `user` and `password`",
            76 => "the compression type is not supported",
            81 => "the group is full",
            82 => "another router uses the same `instance`",
            _ => return write!(f, "error {} of the Kafka protocol", self.0),
        };
        f.write_str(text)
    }
}
