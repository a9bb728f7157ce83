//! What the demo clients have: people who ask, and what is for sale. All of it is invented.

use serde_json::json;

use crate::db::tenant::leads;
use crate::db::tenant::{Access, TenantDb};
use crate::domain::ids::LeadId;
use crate::domain::page::Limit;
use crate::platform::Platform;
use crate::tenancy::resolve::ResolvedTenant;

/// `(name, phone, source, stage, notes)`
const LEADS: [(&str, &str, &str, &str, &str); 5] = [
    (
        "Carla Mendes",
        "+5511987650001",
        "whatsapp",
        "new",
        "Perguntou por carro automático até 80 mil",
    ),
    (
        "Diego Rocha",
        "+5511987650002",
        "storefront",
        "contacted",
        "Quer visitar no sábado de manhã",
    ),
    (
        "Elaine Prado",
        "+5521987650003",
        "telegram",
        "qualified",
        "Tem entrada de 30 mil",
    ),
    (
        "Fábio Nunes",
        "+5531987650004",
        "whatsapp",
        "proposal",
        "Proposta enviada, aguarda o banco",
    ),
    (
        "Gabriela Sá",
        "+5541987650005",
        "indicação",
        "won",
        "Fechou negócio",
    ),
];

/// Adds the demo's rows to a tenant that has none; one transaction, so there are all or none.
pub async fn ensure(platform: &Platform, tenant: &ResolvedTenant) -> anyhow::Result<()> {
    let db = TenantDb::new(platform.lanes.clone(), tenant.home.clone());
    let now = platform.clock.now();
    let access = Access::system(now);
    let known = db
        .run(
            &access,
            leads::list(leads::LeadFilter::default(), None, Limit::new(1)?),
        )
        .await?;
    if !known.output.is_empty() {
        return Ok(());
    }
    let people: Vec<_> = LEADS
        .iter()
        .map(|(name, phone, source, stage, notes)| {
            json!({"name": name, "phone": phone, "source": source, "stage": stage, "notes": notes})
        })
        .filter_map(|lead| lead.as_object().cloned())
        .map(|lead| leads::insert(LeadId::new(), lead, now))
        .collect();
    db.run(&access, people).await?;
    Ok(())
}
