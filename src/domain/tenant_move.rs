//! How far a tenant has come on its way to another shard.

use super::text_enum::text_enum;

text_enum! {
    /// How far a move has come. Written to the registry before anything of the phase is done.
    pub enum MovePhase {
        /// Nobody else restores, archives or deletes the tenant; it has a place on the other shard.
        Claimed = "claimed",
        /// Role and empty tables are made on the other shard.
        Preparing = "preparing",
        /// Rows are copied while the tenant is served.
        Copying = "copying",
        /// What was written meanwhile follows.
        CatchingUp = "catching_up",
        /// The tenant's role is taken from its lane: nothing is written until the rest has followed.
        Fencing = "fencing",
        /// The registry names the other shard: there is no way back.
        Switched = "switched",
        /// It is being taken back.
        Undoing = "undoing",
        /// The tenant lives on the other shard, and nothing is left on the first one.
        Done = "done",
        /// Everything is as it was before.
        Undone = "undone",
    }
}

impl MovePhase {
    /// Whether the registry names the other shard already.
    pub const fn is_switched(self) -> bool {
        matches!(self, Self::Switched | Self::Done)
    }
}
