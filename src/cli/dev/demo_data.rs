//! What the demo clients have: people who ask, and what is for sale. All of it is invented.

use serde_json::{Map, Value, json};

use crate::db::tenant::{Access, TenantDb, contacts, lead_history, leads, properties, vehicles};
use crate::domain::ids::{LeadId, PropertyId, VehicleId};
use crate::domain::page::Limit;
use crate::domain::tenant::Niche;
use crate::platform::Platform;
use crate::tenancy::resolve::ResolvedTenant;

/// `(name, phone, source, stage, notes)`
const LEADS: [(&str, &str, &str, &str, &str); 5] = [
    (
        "Carla Mendes",
        "+5511987650001",
        "whatsapp",
        "new",
        "Perguntou se aceita troca",
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

fn vehicles_for_sale() -> Value {
    json!([
        {"title": "Fiat Argo Drive 1.0", "make": "Fiat", "model": "Argo", "year_manufacture": 2021, "year_model": 2022,
         "price_cents": 6_299_000, "mileage_km": 31_000, "fuel": "flex", "transmission": "manual", "color": "branco",
         "description": "Único dono, revisões na concessionária.", "status": "published"},
        {"title": "Honda HR-V EXL", "make": "Honda", "model": "HR-V", "year_manufacture": 2020, "year_model": 2020,
         "price_cents": 11_490_000, "mileage_km": 48_500, "fuel": "flex", "transmission": "cvt", "color": "prata",
         "description": "Bancos de couro, câmera de ré, pneus novos.", "status": "published"},
        {"title": "Toyota Corolla Altis Hybrid", "make": "Toyota", "model": "Corolla", "year_manufacture": 2022,
         "year_model": 2023, "price_cents": 15_990_000, "mileage_km": 22_000, "fuel": "hybrid",
         "transmission": "automatic", "color": "preto", "description": "Garantia de fábrica até 2027.",
         "status": "published"},
        {"title": "Volkswagen Saveiro Robust", "make": "Volkswagen", "model": "Saveiro", "year_manufacture": 2019,
         "year_model": 2019, "price_cents": 5_790_000, "mileage_km": 87_000, "fuel": "flex", "transmission": "manual",
         "color": "vermelho", "description": "Cabine simples, pronta para o trabalho.", "status": "reserved"},
        {"title": "Jeep Compass Longitude", "make": "Jeep", "model": "Compass", "year_manufacture": 2021,
         "year_model": 2021, "price_cents": 12_850_000, "mileage_km": 41_200, "fuel": "diesel",
         "transmission": "automatic", "color": "cinza", "description": "Aguardando fotos.", "status": "draft"}
    ])
}

fn properties_for_sale() -> Value {
    json!([
        {"title": "Apartamento com varanda em Pinheiros", "purpose": "sale", "kind": "apartment", "bedrooms": 2,
         "bathrooms": 2, "parking": 1, "price_cents": 89_000_000, "city": "São Paulo", "state": "SP",
         "neighbourhood": "Pinheiros", "description": "A cinco minutos do metrô.", "status": "published"},
        {"title": "Casa térrea com quintal", "purpose": "rent", "kind": "house", "bedrooms": 3, "bathrooms": 2,
         "parking": 2, "price_cents": 420_000, "city": "Campinas", "state": "SP", "neighbourhood": "Taquaral",
         "description": "Perto do parque, aceita animais.", "status": "published"},
        {"title": "Sala comercial mobiliada", "purpose": "rent", "kind": "commercial", "bathrooms": 1,
         "price_cents": 280_000, "city": "Curitiba", "state": "PR", "neighbourhood": "Centro",
         "description": "Pronta para usar.", "status": "draft"}
    ])
}

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
        .map(|lead| {
            let id = LeadId::new();
            (
                contacts::ensure(id, &lead, now),
                leads::insert(id, lead.clone(), now),
                lead_history::record_made(id, &lead, &access),
            )
        })
        .collect();
    let niche = tenant.niche.as_str();
    let cars = if niche == Niche::CARS {
        objects(vehicles_for_sale())
    } else {
        Vec::new()
    };
    let homes = if niche == Niche::REAL_ESTATE {
        objects(properties_for_sale())
    } else {
        Vec::new()
    };
    let cars: Vec<_> = cars
        .into_iter()
        .map(|car| vehicles::insert(VehicleId::new(), car, None, now))
        .collect();
    let homes: Vec<_> = homes
        .into_iter()
        .map(|home| properties::insert(PropertyId::new(), home, None, now))
        .collect();
    db.run(&access, (people, cars, homes)).await?;
    Ok(())
}

fn objects(list: Value) -> Vec<Map<String, Value>> {
    match list {
        Value::Array(items) => items
            .into_iter()
            .filter_map(|item| item.as_object().cloned())
            .collect(),
        _ => Vec::new(),
    }
}
