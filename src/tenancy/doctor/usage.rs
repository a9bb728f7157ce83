//! The counters of usage: each must be what its ledger and its holds add up to.

use super::report::Report;
use crate::db::master::usage::counters::Discrepancy;
use crate::domain::month;

/// Every difference is an error: a tenant is refused what it has paid for, or given what it has not. The ledger cannot be
/// rewritten, so it is the counter that is wrong.
pub fn judge(found: &[Discrepancy], report: &mut Report) {
    for one in found {
        let what = format!(
            "the counter of {} of {} in {} says {} used and {} reserved; its ledger says {} and its holds {}",
            one.meter,
            one.tenant_key,
            month::name(one.period),
            one.used,
            one.reserved,
            one.booked,
            one.held
        );
        let cure = format!(
            "select master.recount_usage('{}', '{}', '{}')",
            one.tenant, one.meter, one.period
        );
        report.error("usage", what, cure);
    }
}
