//! Vehicles.

use super::{Builder, Built, refuse_second, written};
use crate::db::shard::import::Table;
use crate::domain::ids::VehicleId;
use crate::domain::invalid::Invalid;
use crate::domain::text::{Name, line, text};
use crate::domain::vehicle::{Fuel, MileageKm, Plate, Transmission, VehicleStatus, Year};
use crate::tenancy::import::fields::Fields;

const DESCRIPTION_MAX: usize = 20_000;

pub(super) const VEHICLES: Table = Table {
    name: "vehicles",
    columns: &[
        "id",
        "title",
        "make",
        "model",
        "year_manufacture",
        "year_model",
        "price_cents",
        "mileage_km",
        "fuel",
        "transmission",
        "color",
        "plate",
        "description",
        "status",
        "published_at",
        "created_at",
        "updated_at",
    ],
};
impl Builder {
    pub(super) fn vehicle(&mut self, fields: &mut Fields<'_>, old: Option<String>) -> Option<Built> {
        let title = fields.required("title", Name::parse);
        let make = fields.required("make", |make| line(make, 100));
        let model = fields.required("model", |model| line(model, 100));
        let made = fields
            .integer("year_manufacture", Year::parse)
            .map(|year| year.get().to_string());
        let of = fields
            .integer("year_model", Year::parse)
            .map(|year| year.get().to_string());
        let price = fields.money("price_cents").map(|cents| cents.to_string());
        let mileage = fields.integer("mileage_km", MileageKm::parse);
        let fuel = fields.optional("fuel", Fuel::parse).map(Fuel::as_str);
        let transmission = fields
            .optional("transmission", Transmission::parse)
            .map(Transmission::as_str);
        let color = fields.optional("color", |color| line(color, 50));
        let plate = fields.optional("plate", Plate::parse).map(String::from);
        let description = fields.optional("description", |description| text(description, DESCRIPTION_MAX));
        let status = fields
            .optional("status", VehicleStatus::parse)
            .unwrap_or(VehicleStatus::Draft);
        let (created, updated) = self.times(fields, self.now);
        refuse_second(
            fields,
            old.as_ref().is_some_and(|old| self.vehicles.contains(old)),
        );
        let is_in_stock = !matches!(status, VehicleStatus::Sold | VehicleStatus::Archived);
        if let Some(plate) = plate
            .as_ref()
            .filter(|plate| is_in_stock && self.known.plates.contains(*plate))
        {
            let twice = Invalid::new("duplicate", "is in stock already");
            fields.refuse("plate", twice, Some(plate.clone()));
        }
        if fields.is_refused(0) {
            return None;
        }
        let published = (status == VehicleStatus::Published).then(|| written(created));
        self.push(
            VEHICLES,
            &[
                Some(&VehicleId::new().to_string()),
                Some(title?.as_str()),
                Some(&make?),
                Some(&model?),
                made.as_deref(),
                of.as_deref(),
                price.as_deref(),
                mileage.map(|km| km.get().to_string()).as_deref(),
                fuel,
                transmission,
                color.as_deref(),
                plate.as_deref(),
                description.as_deref(),
                Some(status.as_str()),
                published.as_deref(),
                Some(&written(created)),
                Some(&written(updated)),
            ],
        );
        if is_in_stock {
            self.known.plates.extend(plate);
        }
        self.vehicles.extend(old);
        Some(Built::Row)
    }
}
