//! What each metric means, as `/metrics` tells it, and those that begin at 0.

use std::time::Duration;

use ::metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};

use super::channel_metrics::{
    self, COPIED, FILES, SENT, SILENT, count_copied_times, count_file_times, count_sent_times,
    count_silent_times,
};
use super::metrics::*;
use super::payment_metrics::{self, GATEWAY_EVENTS, PAYMENTS};
use super::socket_metrics::{self, add_socket, count_events};
use super::work_metrics::{MAIL_OUTCOMES, MAILS, WORK, WORK_OUTCOMES};
use crate::domain::conversation::Channel;
use crate::domain::mail::MailKind;
use crate::domain::usage::Meter;

/// Tells what each metric means, and begins what has not happened yet.
pub(super) fn describe() {
    describe_counter!(HTTP_REQUESTS, "Requests answered, by method, route and status");
    describe_histogram!(
        HTTP_DURATION,
        Unit::Seconds,
        "Time to answer a request, by method and route"
    );
    describe_counter!(
        SENT,
        "Attempts to send a message of a bot, by channel and outcome"
    );
    describe_counter!(
        FILES,
        "Attempts to fetch what somebody has sent to a bot, by channel and outcome"
    );
    describe_counter!(
        SILENT,
        "Bots that believed to be connected and heard nothing, by channel"
    );
    describe_counter!(COPIED, "Copies of linked devices of bots, by outcome");
    describe_gauge!(socket_metrics::OPEN, "Sockets open");
    describe_counter!(socket_metrics::EVENTS, "Events for sockets, by outcome");
    describe_gauge!(HTTP_IN_FLIGHT, "Requests being served");
    describe_counter!(RATE_LIMITED, "Requests refused with 429, by reason");
    describe_counter!(DB_ROUND_TRIPS, "Round trips to PostgreSQL, by plane");
    describe_histogram!(
        DB_DURATION,
        Unit::Seconds,
        "Time of one round trip to PostgreSQL, by plane"
    );
    describe_counter!(DB_ERRORS, "Failed database work, by plane and kind");
    describe_gauge!(DB_CONNECTIONS, "Connections open, by plane");
    describe_gauge!(DB_CONNECTIONS_BUSY, "Connections in use, by plane");
    describe_histogram!(
        DB_POOL_WAIT,
        Unit::Seconds,
        "Time waited for a connection of a tenant's lane, by plane"
    );
    describe_gauge!(DB_LANES, "Lanes with an open pool");
    describe_counter!(DB_PREPARED, "Statements prepared on tenants' connections");
    describe_counter!(CACHE_HITS, "Tenants resolved from memory");
    describe_counter!(CACHE_MISSES, "Tenants looked up in the master schema");
    describe_gauge!(CACHE_ENTRIES, "Tenants in memory");
    describe_counter!(CACHE_INVALIDATIONS, "Tenants thrown out of memory by a change");
    describe_counter!(PROVISIONING, "Onboardings, by outcome");
    describe_histogram!(PROVISION_SECONDS, Unit::Seconds, "Time of one onboarding");
    describe_counter!(METERING, "Reservations of usage, by meter and outcome");
    describe_counter!(
        USAGE_ALERTS,
        "Alerts that a threshold of a limit was reached, by meter"
    );
    describe_gauge!(
        USAGE_DISCREPANCIES,
        "Counters of usage that do not add up, as of the last check"
    );
    describe_counter!(PAYMENTS, "Charges, by gateway and outcome");
    describe_counter!(GATEWAY_EVENTS, "Webhooks of gateways, by gateway and outcome");
    describe_gauge!(
        BILLING_DISCREPANCIES,
        "Differences between invoices, their ledger and subscriptions, as of the last check"
    );
    describe_counter!(MAILS, "Attempts to send a mail, by kind and outcome");
    describe_counter!(WORK, "Work of tenants that was done or not, by kind and outcome");
    describe_counter!(BACKUPS, "Turns of the backups by the clock, by outcome");
    describe_counter!(
        BACKUP_VERIFICATIONS,
        "Snapshots that were to be proven by a restore, by outcome"
    );
    describe_gauge!(
        BACKUPS_OVERDUE,
        "Tenants without a snapshot from the last two periods, as of the last look"
    );
    describe_gauge!(MOVES_UNENDED, "Moves of tenants that have not ended");
    describe_gauge!(MOVES_OLDEST, "Age of the oldest move that has not ended");
    describe_gauge!(
        MOVES_KEPT,
        Unit::Bytes,
        "Bytes of its log that a server keeps for a move, at most"
    );
    describe_counter!(
        MOVES_SETTLED,
        "Moves settled after their worker was gone, by outcome"
    );
    describe_counter!(FOLLOWED, "Attempts made again because a tenant was on its way");
    describe_counter!(LOG_LINES_LOST, "Log lines of tenants that were lost, by reason");
    describe_counter!(PANICS, "Panics");
    begin_at_nothing();
}

/// What has not happened yet is 0, not missing: an alarm on it works from the start.
fn begin_at_nothing() {
    for reason in [
        "tenant_rate",
        "address_rate",
        "tenant_share",
        "address_share",
        "login_failures",
    ] {
        counter!(RATE_LIMITED, "reason" => reason).increment(0);
    }
    for plane in [Plane::Master, Plane::Tenant] {
        for kind in ["unavailable", "crowded", "timeout", "conflict", "other"] {
            counter!(DB_ERRORS, "plane" => plane.as_str(), "kind" => kind).increment(0);
        }
    }
    for outcome in ["created", "resumed", "refused", "failed", "given_up"] {
        counter!(PROVISIONING, "outcome" => outcome).increment(0);
    }
    for outcome in ["finished", "taken_back"] {
        counter!(MOVES_SETTLED, "outcome" => outcome).increment(0);
    }
    set_unended_moves(0, Duration::ZERO, 0);
    for reason in ["queue_full", "write_failed"] {
        counter!(LOG_LINES_LOST, "reason" => reason).increment(0);
    }
    for meter in Meter::ALL {
        for outcome in [
            "reserved", "refused", "settled", "released", "expired", "recorded",
        ] {
            count_metering(*meter, outcome, 0);
        }
        count_usage_alerts(*meter, 0);
    }
    set_usage_discrepancies(0);
    payment_metrics::begin();
    set_billing_discrepancies(0);
    for kind in MailKind::ALL {
        for outcome in MAIL_OUTCOMES {
            counter!(MAILS, "kind" => kind.as_str(), "outcome" => outcome).increment(0);
        }
    }
    for channel in Channel::ALL {
        for outcome in channel_metrics::OUTCOMES {
            count_sent_times(*channel, outcome, 0);
        }
        for outcome in channel_metrics::FILE_OUTCOMES {
            count_file_times(*channel, outcome, 0);
        }
        count_silent_times(*channel, 0);
    }
    for outcome in ["written", "failed"] {
        count_copied_times(outcome, 0);
    }
    add_socket(0.0);
    for outcome in ["sent", "dropped"] {
        count_events(outcome, 0);
    }
    for outcome in WORK_OUTCOMES {
        counter!(WORK, "kind" => "mail", "outcome" => outcome).increment(0);
    }
    for outcome in ["written", "failed"] {
        counter!(BACKUPS, "outcome" => outcome).increment(0);
    }
    for outcome in ["good", "bad", "unknown"] {
        counter!(BACKUP_VERIFICATIONS, "outcome" => outcome).increment(0);
    }
    set_backups_overdue(0);
    for metric in [
        PANICS,
        CACHE_HITS,
        CACHE_MISSES,
        CACHE_INVALIDATIONS,
        DB_PREPARED,
        FOLLOWED,
    ] {
        counter!(metric).increment(0);
    }
}
