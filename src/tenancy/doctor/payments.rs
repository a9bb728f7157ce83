//! Collecting: what a gateway says and nobody expected, and what does not go on by itself.

use super::report::Report;
use crate::db::shard::inspect::payments::{Finding, Payments};

/// Money that is not where the books say is an error each; what is late is told together.
pub(super) fn judge(found: &Payments, report: &mut Report) {
    for finding in &found.findings {
        report.error("payment_finding", told(finding), cure(finding));
    }
    for (gateway, count, why) in &found.dead {
        report.error(
            "payment_events",
            format!("{count} events of {gateway} were given up; the last: {why}"),
            "mend the cause, then `helixai payments replay --dead`",
        );
    }
    for (gateway, count, since, why) in &found.stuck {
        report.warning(
            "payment_charges",
            format!(
                "{count} charges of {gateway} do not go on, the oldest since {}; the last: {why}",
                since.to_rfc3339()
            ),
            "see that `serve` or `worker` runs and reaches the gateway, and that the account's credentials are good",
        );
    }
    for (id, cents, why) in &found.refunds {
        report.error(
            "payment_refund",
            format!("{cents} cents were to go back (refund {id}), and have not: {why}"),
            "give the money back in the gateway's own pages; when it was refused, ask again by `POST /api/admin/invoices/{id}/refund`",
        );
    }
}

fn told(finding: &Finding) -> String {
    let Finding {
        payment,
        amount_cents,
        ..
    } = finding;
    let whose = finding
        .tenant_key
        .as_deref()
        .unwrap_or("nobody that is still there");
    let what = match finding.kind.as_str() {
        "amount" => "paid less than was asked for: it counts for nothing",
        "currency" => "was paid in another currency: it counts for nothing",
        "collector" => "was paid to another account of the gateway: it counts for nothing",
        "account" => "names a charge of another account: it counts for nothing",
        "overpaid" => "paid more than was asked for: the rest is to be given back",
        "paid_twice" => "pays a charge that is paid already: it is to be given back",
        "superfluous" => "paid what was not owed any more: it is to be given back",
        "refunded_again" => "went back in a further part: the ledger has only the first",
        "chargeback_won" => "was taken back by the payer's bank and came again: that is not booked",
        other => other,
    };
    format!("payment {payment} of {amount_cents} cents, about {whose}, {what}")
}

fn cure(finding: &Finding) -> String {
    let first = match finding.kind.as_str() {
        "overpaid" | "paid_twice" | "superfluous" => "give back what is too much",
        "chargeback_won" => "void the invoice if it is open still; give back what was paid for it since",
        _ => "look at it in the gateway's own pages",
    };
    format!(
        "{first}; then close it: `POST /api/admin/payment-findings/{}/resolve`",
        finding.id
    )
}
