//! Photos of what is in a catalogue: `POST` and `PUT /api/vehicles/{id}/photos`, `DELETE …/{photo_id}`, and the same of
//! every other niche. [`super::photo_files`] serves the pictures.

use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::db::tenant::audit;
use crate::db::tenant::photos::{NewPhoto, PhotosOf};
use crate::db::{DbError, Refusal};
use crate::domain::ids::PhotoId;
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::photo::Photo;
use crate::domain::turns::Busy;
use crate::http::body::Body;
use crate::http::create::Creation;
use crate::http::extract::{IdempotencyHeader, TenantAccess, WriteData};
use crate::http::multipart::Form;
use crate::http::problem::Problem;
use crate::photos::KeepError;
use crate::photos::render::{MAX_PIXELS, Unusable};

/// Photos of one item.
const MOST: i64 = 30;
/// Files in one request.
const MOST_AT_ONCE: usize = 10;

/// Photos to be, as a form.
#[derive(utoipa::ToSchema)]
pub struct UploadPhotos {
    /// 1 to 10 files: JPEG, PNG or WebP, whatever they are called, of at most 40 million pixels each.
    #[schema(value_type = Vec<String>, format = Binary, min_items = 1, max_items = 10)]
    #[expect(dead_code, reason = "only described: the files are read one by one")]
    photos: Vec<Vec<u8>>,
}

/// The order of an item's photos.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ArrangePhotos {
    /// The ids of all photos of the item, each once.
    #[schema(value_type = Vec<PhotoId>, max_items = 30)]
    photos: Vec<String>,
}

/// All photos of an item, in their order.
#[derive(Serialize, utoipa::ToSchema)]
pub struct PhotoList {
    items: Vec<Photo>,
}

impl ArrangePhotos {
    fn check(self) -> Result<Vec<PhotoId>, FieldErrors> {
        let mut errors = FieldErrors::new();
        let mut photos = Vec::new();
        if i64::try_from(self.photos.len()).is_ok_and(|given| given > MOST) {
            let message = format!("must be at most {MOST} photos");
            errors.push("photos", Invalid::new("too_many", message));
            return errors.finish(|| None);
        }
        for (index, photo) in self.photos.into_iter().enumerate() {
            let field = format!("photos[{index}]");
            let Some(photo) = errors.check(&field, photo.parse::<PhotoId>()) else {
                continue;
            };
            if photos.contains(&photo) {
                errors.push(&field, Invalid::new("repeated", "is given more than once"));
            }
            photos.push(photo);
        }
        errors.finish(|| Some(photos))
    }
}

/// What a route of photos is about.
struct Of {
    photos: PhotosOf,
    /// The table of the item.
    table: &'static str,
    item: Uuid,
}

fn too_many() -> Problem {
    Problem::conflict(
        "too_many_photos",
        format!("There may be {MOST} photos of one thing: remove some first."),
    )
}

fn changed() -> Problem {
    Problem::conflict(
        "photos_changed",
        "These are not all of its photos: read them again and repeat your change.",
    )
}

/// Both are about the room: the lock has no version to disagree with.
fn refuse(stale: fn() -> Problem) -> impl Fn(&DbError) -> Option<Problem> {
    move |error| (error.refusal() == Some(Refusal::Stale)).then(stale)
}

fn busy() -> Problem {
    Problem::unavailable(
        "uploads_busy",
        "Too many photos are being received: try again in a moment.",
    )
}

/// Why a file is refused.
fn unusable(reason: Unusable) -> Invalid {
    match reason {
        Unusable::Format => Invalid::new("unsupported_format", "must be a JPEG, PNG or WebP picture"),
        Unusable::TooManyPixels => {
            let most = MAX_PIXELS / 1_000_000;
            Invalid::new(
                "too_many_pixels",
                format!("must have at most {most} million pixels"),
            )
        }
        Unusable::Damaged => Invalid::new("damaged", "is cut short or broken: send the whole picture"),
    }
}

async fn upload(
    access: &TenantAccess<WriteData>,
    of: Of,
    operation: &'static str,
    key: IdempotencyHeader,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    // Before a byte is read: who may, and of what.
    if i64::from(access.run(of.photos.count(of.item)).await?.output) >= MOST {
        return Err(too_many());
    }
    // What is repeated may have been answered while there was storage left.
    if matches!(key.0, Ok(None)) {
        access.naming_plan(access.storage_left()).await?;
    }
    let (platform, tenant) = (access.platform(), access.tenant.home.id);
    let _turn = platform.photos.receive(tenant).await.map_err(|Busy| busy())?;
    let form = Form {
        field: "photos",
        files: MOST_AT_ONCE,
        bytes: platform.settings.storage.upload_limit_bytes,
        time: platform.settings.server.request_timeout / 2,
    };
    let files = form.read(request, payload).await?;
    let creation = Creation {
        operation,
        key,
        hash: hash(of.item, &files),
        row: Some(of.item),
    };
    let kept = keep(access, files).await?;
    let ids: Vec<PhotoId> = kept.iter().map(|photo| photo.id).collect();
    let new = i64::try_from(kept.len()).unwrap_or(i64::MAX);
    let batch = (
        of.photos.room(of.item, new, MOST),
        of.photos.insert(of.item, &kept, access.now),
        of.photos.list(of.item),
        audit::insert_with(
            &access.access,
            "photos.add",
            of.table,
            of.item,
            json!({ "photos": ids }),
        ),
    );
    let mut written = false;
    let show = |(_, _, items, _)| {
        written = true;
        PhotoList { items }
    };
    let answer = access.create(creation, batch, show, refuse(too_many)).await;
    // Refused for certain, or answered before: nothing names these files. Where it is not certain, the sweeper asks.
    let refused = answer.as_ref().err().map(Problem::status);
    if refused.is_some_and(|status| status.is_client_error()) || (refused.is_none() && !written) {
        platform.photos.remove(tenant, &ids).await;
    }
    answer
}

/// What the same request has in common with its repetition, whose boundary may be another.
fn hash(item: Uuid, files: &[Bytes]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(item);
    for file in files {
        hash.update(Sha256::digest(file));
    }
    hash.finalize().into()
}

/// Keeps all files, or none.
async fn keep(access: &TenantAccess<WriteData>, files: Vec<Bytes>) -> Result<Vec<NewPhoto>, Problem> {
    let (photos, tenant) = (&access.platform().photos, access.tenant.home.id);
    let (mut kept, mut errors, mut failed) = (Vec::new(), FieldErrors::new(), None);
    for (index, file) in files.into_iter().enumerate() {
        match photos.keep(tenant, file).await {
            Ok(photo) => kept.push(NewPhoto {
                id: photo.id,
                byte_size: photo.byte_size,
            }),
            Err(KeepError::Unusable(reason)) => errors.push(&format!("photos[{index}]"), unusable(reason)),
            Err(KeepError::Busy) => failed = Some(busy()),
            Err(KeepError::Io(error)) => {
                tracing::error!(%error, "a photo cannot be written");
                failed = Some(Problem::internal());
            }
        }
        if failed.is_some() {
            break;
        }
    }
    let refused = match failed {
        Some(problem) => problem,
        None if errors.is_empty() => return Ok(kept),
        None => errors.into(),
    };
    let ids: Vec<PhotoId> = kept.iter().map(|photo| photo.id).collect();
    photos.remove(tenant, &ids).await;
    Err(refused)
}

async fn arrange(
    access: &TenantAccess<WriteData>,
    of: Of,
    body: Body<ArrangePhotos>,
) -> Result<web::Json<PhotoList>, Problem> {
    let order = access.check(body.value).await?;
    let order = access.check(order.check()).await?;
    let batch = (
        of.photos.lock(of.item),
        of.photos.complete(of.item, &order),
        of.photos.arrange(of.item, &order),
        of.photos.list(of.item),
        audit::insert(&access.access, "photos.arrange", of.table, of.item),
    );
    let (_, _, _, items, _) = access.run_or(batch, refuse(changed)).await?.output;
    Ok(web::Json(PhotoList { items }))
}

async fn remove(access: &TenantAccess<WriteData>, of: Of, photo: PhotoId) -> Result<HttpResponse, Problem> {
    let batch = (
        of.photos.lock(of.item),
        of.photos.delete(of.item, photo),
        audit::insert_with(
            &access.access,
            "photos.delete",
            of.table,
            of.item,
            json!({ "photos": [photo] }),
        ),
    );
    access.run(batch).await?;
    let tenant = access.tenant.home.id;
    access.platform().photos.remove(tenant, &[photo]).await;
    Ok(HttpResponse::NoContent().finish())
}

/// The routes of the photos of one catalogue.
macro_rules! routes {
    (
        $(#[$meta:meta])*
        $module:ident: $niche:ident, $of:ident, $table:tt, $id:ident, $tag:tt, $photos:tt, $photo:tt,
        $upload:ident $upload_id:tt, $arrange:ident $arrange_id:tt, $delete:ident $delete_id:tt
    ) => {
        $(#[$meta])*
        pub mod $module {
            use actix_web::{HttpRequest, HttpResponse, delete, post, put, web};

            use super::{ArrangePhotos, Of, PhotoList, UploadPhotos};
            use crate::db::tenant::photos::PhotosOf;
            use crate::domain::ids::{$id, PhotoId};
            use crate::domain::tenant::Niche;
            use crate::http::body::{Body, path_id};
            use crate::http::extract::{IdempotencyHeader, TenantAccess, WriteData};
            use crate::http::problem::{Problem, ProblemBody};

            async fn of(access: &TenantAccess<WriteData>, id: &str) -> Result<Of, Problem> {
                access.niche(Niche::$niche).await?;
                let item: $id = access.check(path_id(id)).await?;
                Ok(Of { photos: PhotosOf::$of, table: $table, item: item.as_uuid() })
            }

            /// Add photos.
            ///
            /// They come behind those that are there, at most 30 in all. They are turned upright, scaled to at most
            /// 1600 pixels and stored without metadata.
            #[utoipa::path(
                tag = $tag, operation_id = $upload_id, security(("bearer" = [])),
                params(
                    ("id" = $id, Path),
                    ("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")
                ),
                request_body(content = UploadPhotos, content_type = "multipart/form-data"),
                responses(
                    (status = 201, body = PhotoList), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
                )
            )]
            #[post($photos)]
            pub async fn $upload(
                access: TenantAccess<WriteData>,
                id: web::Path<String>,
                key: IdempotencyHeader,
                request: HttpRequest,
                payload: web::Payload,
            ) -> Result<HttpResponse, Problem> {
                let of = of(&access, &id).await?;
                super::upload(&access, of, $upload_id, key, &request, payload).await
            }

            /// Put the photos in another order.
            #[utoipa::path(
                tag = $tag, operation_id = $arrange_id, security(("bearer" = [])), params(("id" = $id, Path)),
                request_body = ArrangePhotos,
                responses(
                    (status = 200, body = PhotoList), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
                )
            )]
            #[put($photos)]
            pub async fn $arrange(
                access: TenantAccess<WriteData>,
                id: web::Path<String>,
                body: Body<ArrangePhotos>,
            ) -> Result<web::Json<PhotoList>, Problem> {
                let of = of(&access, &id).await?;
                super::arrange(&access, of, body).await
            }

            /// Remove a photo.
            #[utoipa::path(
                tag = $tag, operation_id = $delete_id, security(("bearer" = [])),
                params(("id" = $id, Path), ("photo_id" = PhotoId, Path)),
                responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
            )]
            #[delete($photo)]
            pub async fn $delete(
                access: TenantAccess<WriteData>,
                path: web::Path<(String, String)>,
            ) -> Result<HttpResponse, Problem> {
                let (id, photo) = path.into_inner();
                let of = of(&access, &id).await?;
                let photo = access.check(path_id(&photo)).await?;
                super::remove(&access, of, photo).await
            }
        }
    };
}

routes! {
    /// Photos of vehicles.
    vehicles: CARS, Vehicles, "vehicles", VehicleId, "vehicles",
    "/api/vehicles/{id}/photos", "/api/vehicles/{id}/photos/{photo_id}",
    upload_vehicle_photos "upload_vehicle_photos", arrange_vehicle_photos "arrange_vehicle_photos",
    delete_vehicle_photo "delete_vehicle_photo"
}

routes! {
    /// Photos of properties.
    properties: REAL_ESTATE, Properties, "properties", PropertyId, "properties",
    "/api/properties/{id}/photos", "/api/properties/{id}/photos/{photo_id}",
    upload_property_photos "upload_property_photos", arrange_property_photos "arrange_property_photos",
    delete_property_photo "delete_property_photo"
}

routes! {
    /// Photos of products and services.
    products: GENERAL, Products, "items", ProductId, "products",
    "/api/products/{id}/photos", "/api/products/{id}/photos/{photo_id}",
    upload_product_photos "upload_product_photos", arrange_product_photos "arrange_product_photos",
    delete_product_photo "delete_product_photo"
}
