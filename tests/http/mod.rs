//! The HTTP contract, over real connections to the program as it is served.

mod admin_sessions;
mod onboarding;
mod sessions;
