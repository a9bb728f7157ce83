//! What a tenant's users are, and what an API key was made for. What each may do is in [`super::rights`].

use super::text_enum::text_enum;

text_enum! {
    /// A tenant user's role; each may do what the next may.
    pub enum Role {
        /// Whoever pays: everything.
        Owner = "owner",
        /// Runs the business: all but what only the owner may.
        Manager = "manager",
        /// Talks to customers: works with the data.
        Agent = "agent",
    }
}

text_enum! {
    /// What an API key may be used for.
    pub enum Scope {
        /// To read.
        Read = "read",
        /// To change.
        Write = "write",
    }
}
