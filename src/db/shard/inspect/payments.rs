//! What of collecting does not go on by itself, read by the administrator.

use chrono::{DateTime, Utc};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::db::DbError;

/// What is not as it should be with payments.
#[derive(Debug, Default)]
pub struct Payments {
    /// What gateways said and nobody expected.
    pub findings: Vec<Finding>,
    /// Events that were given up: gateway, how many, and why the last one was.
    pub dead: Vec<(String, i64, String)>,
    /// Charges that should have been worked on an hour ago: gateway, how many, since when, and why the last one was not.
    pub stuck: Vec<(String, i64, DateTime<Utc>, String)>,
    /// Refunds that the gateway has not given within an hour, or refused: which, of how much, and why.
    pub refunds: Vec<(Uuid, i64, String)>,
}

/// What a gateway said and nobody expected.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Its id.
    pub id: Uuid,
    /// The payment, as the gateway calls it.
    pub payment: String,
    /// What is the matter.
    pub kind: String,
    /// Whom it is about, if it is still there.
    pub tenant_key: Option<String>,
    /// As the gateway says.
    pub amount_cents: i64,
}

const FINDINGS: &str = "\
select f.id, f.gateway_payment_id, f.kind, t.tenant_key, f.amount_cents
from master.payment_findings f
left join master.charges c on c.id = f.charge_id
left join master.tenants t on t.id = c.tenant_id
where f.resolved_at is null order by f.noted_at, f.gateway_payment_id limit 50";

const DEAD: &str = "\
select a.gateway, count(*), coalesce((array_agg(e.last_error order by e.received_at desc))[1], '')
from master.gateway_events e join master.gateway_accounts a on a.id = e.account_id
where e.state = 'dead' group by a.gateway order by a.gateway";

const STUCK: &str = "\
select a.gateway, count(*), min(c.created_at),
       coalesce((array_agg(c.last_error order by c.updated_at desc) filter (where c.last_error is not null))[1], '')
from master.charges c join master.gateway_accounts a on a.id = c.account_id
where c.next_check_at is not null
  and (c.next_check_at < now() - interval '1 hour' or (c.checks > 6 and c.last_error is not null))
group by a.gateway order by a.gateway";

const REFUNDS: &str = "\
select r.id, r.amount_cents, coalesce(r.last_error, '')
from master.refunds r
where (r.state = 'requested' and r.created_at < now() - interval '1 hour')
   or (r.state = 'failed' and r.updated_at > now() - interval '30 days')
order by r.created_at limit 50";

/// Reads it.
///
/// # Errors
/// When it cannot be read.
pub async fn payments(admin: &Client) -> Result<Payments, DbError> {
    let mut found = Payments::default();
    for row in admin.query(FINDINGS, &[]).await? {
        found.findings.push(Finding {
            id: row.try_get(0)?,
            payment: row.try_get(1)?,
            kind: row.try_get(2)?,
            tenant_key: row.try_get(3)?,
            amount_cents: row.try_get(4)?,
        });
    }
    for row in admin.query(DEAD, &[]).await? {
        found
            .dead
            .push((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
    }
    for row in admin.query(STUCK, &[]).await? {
        found
            .stuck
            .push((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?));
    }
    for row in admin.query(REFUNDS, &[]).await? {
        found
            .refunds
            .push((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
    }
    Ok(found)
}
