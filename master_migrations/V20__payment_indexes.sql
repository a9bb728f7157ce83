-- What a foreign key looks for when the other side goes, and what is forgotten every day, without reading whole tables.

-- Which charges go by this card? Asked when a newer card takes its place.
create index charges_card_id_idx on charges (card_id) where card_id is not null;
-- Which refunds are of this charge? Asked when charges go with their tenant.
create index refunds_charge_id_idx on refunds (charge_id);
-- Which mails have ended, and when?
create index mails_ended_idx on mails (updated_at) where state <> 'pending';
