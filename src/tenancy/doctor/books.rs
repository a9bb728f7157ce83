//! The platform's own money: invoices, their ledger and subscriptions must agree.

use super::report::Report;
use crate::db::master::billing_check::BillingDiscrepancy;

/// Every difference is an error: somebody was charged what is not owed, or is owed something by us.
pub fn judge(found: &[BillingDiscrepancy], report: &mut Report) {
    for one in found {
        let subject = one.subject.map_or_else(String::new, |id| format!(" ({id})"));
        let whose = one.tenant_key.as_deref().unwrap_or("all tenants");
        let (is, cure) = explain(&one.what);
        let what = format!(
            "of {whose}{subject}: {is}: {} instead of {}",
            one.found, one.expected
        );
        report.error("books", what, cure);
    }
}

/// What a word of `billing_discrepancies` means, and what to do.
fn explain(what: &str) -> (&'static str, &'static str) {
    match what {
        "lines" | "invoiced" => (
            "lines or ledger are not the total of the invoice, in cents",
            "neither can be rewritten: find who wrote to the tables by hand, void the invoice and issue it again",
        ),
        "owed" => (
            "a paid or void invoice is owed, or overpaid when negative, in cents",
            "give back what was paid too much: POST /api/admin/invoices/{id}/refund",
        ),
        "open" => (
            "an open invoice of which nothing is owed, in cents",
            "its payment is booked and did not settle it: replay the payment",
        ),
        "returned" => (
            "what was refunded is not what the ledger says, in cents",
            "the ledger is right: correct `refunded_cents` of the invoice",
        ),
        "numbers" => (
            "the series of invoice numbers has a gap",
            "find who wrote to the tables by hand; an accountant has to know of it",
        ),
        "unpaid" => (
            "a subscription is served as if its period were paid, in cents",
            "see that a process runs with `billing.clock` on, and its log",
        ),
        "uncharged" => (
            "a subscription is in a period with a price that was never charged, in cents",
            "find out who began it, and bill it with POST /api/admin/tenants/{key}/invoices",
        ),
        _ => ("something does not add up", "see `master.billing_discrepancies`"),
    }
}
