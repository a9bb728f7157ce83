//! The program's metrics: their names, what they mean, and the recorder that `/metrics` prints.
//!
//! To add one: a constant, a line in `super::metric_descriptions` and, where it is recorded in more than one place, a function here.
//! Labels have few values: a route's pattern, never its path; a pool's kind; never a tenant, a user or an id.

use std::sync::OnceLock;
use std::time::Duration;

use ::metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use super::metric_descriptions::describe;
use crate::domain::usage::Meter;

/// Requests answered, by `method`, `route` (its pattern) and `status`.
pub const HTTP_REQUESTS: &str = "helixai_http_requests_total";
/// Time from a request's head to its answer, by `method` and `route`.
pub const HTTP_DURATION: &str = "helixai_http_request_duration_seconds";
/// Requests being served now.
pub const HTTP_IN_FLIGHT: &str = "helixai_http_requests_in_flight";
/// Requests refused with 429, by `reason` (`tenant_rate`, `address_rate`, `tenant_share`, `address_share`, `login_failures`).
pub const RATE_LIMITED: &str = "helixai_rate_limited_total";
/// Round trips to PostgreSQL, by `plane` (`tenant`: counted; `master`: one for each statement, begin and commit, since its
/// driver does not tell).
pub const DB_ROUND_TRIPS: &str = "helixai_db_round_trips_total";
/// Time of one pipelined batch of a tenant's queries, by `plane`.
pub const DB_DURATION: &str = "helixai_db_duration_seconds";
/// Failed database work, by `plane` and `kind` (`refused`, `constraint`, `unavailable`, `crowded`, `timeout`, `conflict`, `other`).
pub const DB_ERRORS: &str = "helixai_db_errors_total";
/// Connections open, by `plane`.
pub const DB_CONNECTIONS: &str = "helixai_db_connections";
/// Connections in use, by `plane`.
pub const DB_CONNECTIONS_BUSY: &str = "helixai_db_connections_busy";
/// Time waited for a connection of a tenant's lane, by `plane`.
pub const DB_POOL_WAIT: &str = "helixai_db_pool_wait_seconds";
/// Lanes with an open pool.
pub const DB_LANES: &str = "helixai_db_lanes_open";
/// Statements prepared on tenants' connections.
pub const DB_PREPARED: &str = "helixai_db_statements_prepared_total";
/// Tenants resolved from memory.
pub const CACHE_HITS: &str = "helixai_tenant_cache_hits_total";
/// Tenants that had to be looked up in the master schema.
pub const CACHE_MISSES: &str = "helixai_tenant_cache_misses_total";
/// Tenants in memory.
pub const CACHE_ENTRIES: &str = "helixai_tenant_cache_entries";
/// Tenants thrown out of memory by a change.
pub const CACHE_INVALIDATIONS: &str = "helixai_tenant_cache_invalidations_total";
/// Onboardings, by `outcome` (`created`; `resumed`: finished after a crash; `refused`; `failed`: to be taken up again;
/// `given_up`).
pub const PROVISIONING: &str = "helixai_provisioning_total";
/// Time of one onboarding.
pub const PROVISION_SECONDS: &str = "helixai_provisioning_seconds";
/// Reservations of usage, by `meter` and `outcome` (`reserved`, `refused`, `settled`, `released`, `expired`; `recorded` without
/// a reservation).
pub const METERING: &str = "helixai_metering_total";
/// Alerts written because a threshold of a limit was reached, by `meter`.
pub const USAGE_ALERTS: &str = "helixai_usage_alerts_total";
/// Counters of usage that did not add up when they were last checked.
pub const USAGE_DISCREPANCIES: &str = "helixai_usage_discrepancies";
/// Differences between invoices, their ledger and subscriptions when they were last checked.
pub const BILLING_DISCREPANCIES: &str = "helixai_billing_discrepancies";
/// Turns of the backups by the clock, by `outcome` (`written`, `failed`).
pub const BACKUPS: &str = "helixai_backups_total";
/// Snapshots that were to be proven by a restore, by `outcome` (`good`; `bad`: not to be trusted; `unknown`: it could not be tried).
pub const BACKUP_VERIFICATIONS: &str = "helixai_backup_verifications_total";
/// Tenants without a snapshot from the last two periods, as of the last look.
pub const BACKUPS_OVERDUE: &str = "helixai_backups_overdue";
/// Moves of tenants that have not ended.
pub const MOVES_UNENDED: &str = "helixai_moves_unended";
/// Age of the oldest move that has not ended, in seconds.
pub const MOVES_OLDEST: &str = "helixai_moves_oldest_seconds";
/// Bytes of its log that a server keeps for a move, at most.
pub const MOVES_KEPT: &str = "helixai_moves_kept_bytes";
/// Moves that a server has settled after their worker was gone, by `outcome` (`finished`, `taken_back`).
pub const MOVES_SETTLED: &str = "helixai_moves_settled_total";
/// Attempts of requests that were made again because their tenant was on its way to another place.
pub const FOLLOWED: &str = "helixai_requests_followed_total";
/// Log lines of tenants that were lost, by `reason` (`queue_full`, `write_failed`).
pub const LOG_LINES_LOST: &str = "helixai_log_lines_lost_total";
/// Panics.
pub const PANICS: &str = "helixai_panics_total";

/// Upper bounds of the histograms' buckets, in seconds: a database round trip is below a millisecond, an onboarding
/// takes a good part of a second.
const BUCKETS: [f64; 16] = [
    0.000_25, 0.000_5, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1.0, 2.5, 10.0,
    30.0,
];
/// How often recorded times are moved into their buckets, so that they do not pile up when nobody asks.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

static INSTALLED: OnceLock<Metrics> = OnceLock::new();

/// Everything recorded so far in this process.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// The content type of [`Metrics::render`].
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// The metrics in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }
}

/// Why metrics cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The recorder cannot be made or another one is installed.
    #[error("cannot record metrics: {0}")]
    Recorder(#[from] BuildError),
    /// No thread for the upkeep.
    #[error("cannot start the thread that keeps metrics: {0}")]
    Thread(#[from] std::io::Error),
}

/// Starts recording in this process; later calls answer what the first one made.
///
/// # Errors
/// See [`InstallError`].
pub fn install() -> Result<Metrics, InstallError> {
    static INSTALLING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one_at_a_time = INSTALLING
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(installed) = INSTALLED.get() {
        return Ok(installed.clone());
    }
    let recorder = recorder()?;
    let handle = recorder.handle();
    ::metrics::set_global_recorder(recorder).map_err(BuildError::from)?;
    describe();
    let kept = handle.clone();
    std::thread::Builder::new()
        .name("metrics-upkeep".to_owned())
        .spawn(move || {
            loop {
                std::thread::sleep(UPKEEP_EVERY);
                kept.run_upkeep();
            }
        })?;
    Ok(INSTALLED.get_or_init(|| Metrics(handle)).clone())
}

/// Records an answered request; `route` is the pattern, `{id}` and all, or `unmatched`.
pub fn record_http_request(method: &str, route: &str, status: u16, took: Duration) {
    let (method, route) = (method.to_owned(), route.to_owned());
    let status = status.to_string();
    counter!(HTTP_REQUESTS, "method" => method.clone(), "route" => route.clone(), "status" => status)
        .increment(1);
    histogram!(HTTP_DURATION, "method" => method, "route" => route).record(took);
}

/// A request being served, counted until dropped.
#[derive(Debug)]
#[must_use = "the request counts as finished when this is dropped"]
pub struct InFlight(());

impl InFlight {
    /// Counts one more request.
    pub fn begin() -> Self {
        gauge!(HTTP_IN_FLIGHT).increment(1.0);
        Self(())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        gauge!(HTTP_IN_FLIGHT).decrement(1.0);
    }
}

/// Which database a metric is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plane {
    /// The master schema.
    Master,
    /// The tenants' schemas.
    Tenant,
}

impl Plane {
    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Tenant => "tenant",
        }
    }
}

/// Records one round trip to PostgreSQL.
pub fn record_db_round_trip(plane: Plane, took: Duration) {
    counter!(DB_ROUND_TRIPS, "plane" => plane.as_str()).increment(1);
    histogram!(DB_DURATION, "plane" => plane.as_str()).record(took);
}

/// Counts failed database work.
pub fn count_db_error(plane: Plane, kind: &'static str) {
    counter!(DB_ERRORS, "plane" => plane.as_str(), "kind" => kind).increment(1);
}

/// Records a wait for a free connection.
pub fn record_pool_wait(plane: Plane, took: Duration) {
    histogram!(DB_POOL_WAIT, "plane" => plane.as_str()).record(took);
}

/// Sets how many connections are open and in use.
pub fn set_pool_size(plane: Plane, open: usize, busy: usize) {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 connections")]
    let (open, busy) = (open as f64, busy as f64);
    gauge!(DB_CONNECTIONS, "plane" => plane.as_str()).set(open);
    gauge!(DB_CONNECTIONS_BUSY, "plane" => plane.as_str()).set(busy);
}

/// Sets how many lanes have an open pool.
pub fn set_open_lanes(lanes: usize) {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 lanes")]
    gauge!(DB_LANES).set(lanes as f64);
}

/// Sets how many tenants are in memory.
pub fn set_cache_entries(entries: usize) {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 tenants")]
    gauge!(CACHE_ENTRIES).set(entries as f64);
}

/// Counts statements that were prepared on a tenant's connection.
pub fn count_prepared(statements: usize) {
    counter!(DB_PREPARED).increment(u64::try_from(statements).unwrap_or(u64::MAX));
}

/// Counts a round trip to the registry, which its driver makes without telling how long it took.
pub fn count_master_round_trip() {
    counter!(DB_ROUND_TRIPS, "plane" => Plane::Master.as_str()).increment(1);
}

/// Counts a tenant that is thrown out of memory.
pub fn count_cache_invalidation() {
    counter!(CACHE_INVALIDATIONS).increment(1);
}

/// Counts an onboarding that did not succeed.
pub fn count_provisioning(outcome: &'static str) {
    counter!(PROVISIONING, "outcome" => outcome).increment(1);
}

/// Counts a turn of the backups by the clock.
pub fn count_backup(outcome: &'static str) {
    counter!(BACKUPS, "outcome" => outcome).increment(1);
}

/// Counts a snapshot that was to be proven.
pub fn count_backup_verification(outcome: &'static str) {
    counter!(BACKUP_VERIFICATIONS, "outcome" => outcome).increment(1);
}

/// Sets how many tenants have waited too long for a snapshot.
#[expect(clippy::cast_precision_loss, reason = "a count of tenants is far below 2^52")]
pub fn set_backups_overdue(tenants: i64) {
    gauge!(BACKUPS_OVERDUE).set(tenants as f64);
}

/// Counts a resolved tenant, found in memory or not.
pub fn count_cache_lookup(hit: bool) {
    counter!(if hit { CACHE_HITS } else { CACHE_MISSES }).increment(1);
}

/// Records a finished onboarding.
pub fn record_provisioning(outcome: &'static str, took: Duration) {
    counter!(PROVISIONING, "outcome" => outcome).increment(1);
    histogram!(PROVISION_SECONDS).record(took);
}

/// Counts a request refused with 429.
pub fn count_rate_limited(reason: &'static str) {
    counter!(RATE_LIMITED, "reason" => reason).increment(1);
}

/// Counts what became of reservations.
pub fn count_metering(meter: Meter, outcome: &'static str, count: u64) {
    counter!(METERING, "meter" => meter.as_str(), "outcome" => outcome).increment(count);
}

/// Counts alerts that were written.
pub fn count_usage_alerts(meter: Meter, alerts: u32) {
    counter!(USAGE_ALERTS, "meter" => meter.as_str()).increment(alerts.into());
}

/// Sets how many counters of usage do not add up.
pub fn set_usage_discrepancies(found: usize) {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 counters")]
    gauge!(USAGE_DISCREPANCIES).set(found as f64);
}

/// Sets in how many places the books do not add up.
pub fn set_billing_discrepancies(found: usize) {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 counters")]
    gauge!(BILLING_DISCREPANCIES).set(found as f64);
}

/// Sets how many moves have not ended, how old the oldest is, and how much of a log is kept for one.
pub fn set_unended_moves(count: usize, oldest: Duration, kept_bytes: i64) {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 of either")]
    let (count, kept) = (count as f64, kept_bytes as f64);
    gauge!(MOVES_UNENDED).set(count);
    gauge!(MOVES_OLDEST).set(oldest.as_secs_f64());
    gauge!(MOVES_KEPT).set(kept);
}

/// Counts a move that was settled after its worker was gone.
pub fn count_settled_move(outcome: &'static str) {
    counter!(MOVES_SETTLED, "outcome" => outcome).increment(1);
}

/// Counts an attempt that was made again because the tenant was on its way.
pub fn count_followed() {
    counter!(FOLLOWED).increment(1);
}

pub(super) fn count_lost_log_lines(reason: &'static str, lines: u64) {
    counter!(LOG_LINES_LOST, "reason" => reason).increment(lines);
}

pub(super) fn count_panic() {
    counter!(PANICS).increment(1);
}

fn recorder() -> Result<PrometheusRecorder, BuildError> {
    Ok(PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?
        .build_recorder())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_values_are_printed_with_their_labels() {
        let recorder = recorder().unwrap();
        let metrics = Metrics(recorder.handle());
        ::metrics::with_local_recorder(&recorder, || {
            describe();
            record_http_request("GET", "/api/leads/{id}", 200, Duration::from_millis(3));
            record_http_request("GET", "/api/leads/{id}", 404, Duration::from_millis(3));
            record_db_round_trip(Plane::Tenant, Duration::from_micros(300));
            count_cache_lookup(true);
            record_provisioning("created", Duration::from_millis(700));
            set_pool_size(Plane::Master, 8, 3);
            count_metering(Meter::Messages, "expired", 3);
            count_usage_alerts(Meter::AiTokens, 2);
            set_usage_discrepancies(1);
            set_billing_discrepancies(2);
            let in_flight = InFlight::begin();
            assert!(metrics.render().contains("helixai_http_requests_in_flight 1"));
            drop(in_flight);
        });
        let text = metrics.render();
        for line in [
            "helixai_http_requests_total{method=\"GET\",route=\"/api/leads/{id}\",status=\"404\"} 1",
            "helixai_http_request_duration_seconds_bucket{method=\"GET\",route=\"/api/leads/{id}\",le=\"0.004\"} 2",
            "helixai_db_duration_seconds_bucket{plane=\"tenant\",le=\"0.0005\"} 1",
            "helixai_db_round_trips_total{plane=\"tenant\"} 1",
            "helixai_tenant_cache_hits_total 1",
            "helixai_provisioning_total{outcome=\"created\"} 1",
            "helixai_metering_total{meter=\"messages\",outcome=\"expired\"} 3",
            "helixai_usage_alerts_total{meter=\"ai_tokens\"} 2",
            "helixai_usage_discrepancies 1",
            "helixai_billing_discrepancies 2",
            "helixai_db_connections_busy{plane=\"master\"} 3",
            "helixai_http_requests_in_flight 0",
            "# HELP helixai_db_round_trips_total Round trips to PostgreSQL, by plane",
        ] {
            assert!(text.contains(line), "{line} not in\n{text}");
        }
    }

    #[test]
    fn installing_twice_gives_the_same_recorder() {
        install().unwrap();
        counter!("helixai_test_total").increment(1);
        assert!(install().unwrap().render().contains("helixai_test_total"));
    }
}
