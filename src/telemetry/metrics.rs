//! temporary
/// x
pub const DB_ROUND_TRIPS: &str = "db_round_trips_total";
/// x
pub const CACHE_HITS: &str = "cache_hits_total";
/// x
pub const CACHE_MISSES: &str = "cache_misses_total";
/// x
pub const PROVISION_SECONDS: &str = "provision_seconds";
