//! `/photos/{id}`: the pictures themselves, at the address of the tenant that they belong to. What is in the storefront
//! is for anybody; the rest for who may read the tenant's data, and for others it is not there.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, EntityTag, Header, IF_NONE_MATCH, IfNoneMatch, VARY,
};
use actix_web::{FromRequest, HttpRequest, HttpResponse, HttpResponseBuilder, get, web};

use crate::db::tenant::photos::PhotosOf;
use crate::domain::ids::PhotoId;
use crate::http::body::path_id;
use crate::http::extract::{PublicTenant, ReadData, TenantAccess};
use crate::http::problem::{Problem, ProblemBody};
use crate::storage::Rendition;

/// A photo never changes, as another picture has another id; but what it shows may leave the storefront. Whoever keeps it asks
/// again after five minutes, and is told by the tag that it is still the same.
const FOR_ANYBODY: &str = "public, max-age=300";
/// Whoever shows it again asks again whether it may be seen.
pub(super) const FOR_THE_TENANT: &str = "private, no-cache";

/// A photo, at most 1600 pixels wide and high.
///
/// Of what is in the storefront for anybody; of the rest with credentials that may read.
#[utoipa::path(
    tag = "storefront", operation_id = "get_photo", params(("id" = PhotoId, Path)), security(()),
    responses(
        (status = 200, body = Vec<u8>, content_type = "image/jpeg"), (status = 304, description = "As you have it"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[get("/photos/{id}")]
pub async fn get_photo(
    public: PublicTenant<ReadData>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    show(&public.0, &request, &id, Rendition::Full).await
}

/// A photo, at most 400 pixels wide and high.
///
/// As the photo itself.
#[utoipa::path(
    tag = "storefront", operation_id = "get_photo_thumbnail", params(("id" = PhotoId, Path)),
    security(()),
    responses(
        (status = 200, body = Vec<u8>, content_type = "image/jpeg"), (status = 304, description = "As you have it"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[get("/photos/{id}/thumbnail")]
pub async fn get_photo_thumbnail(
    public: PublicTenant<ReadData>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    show(&public.0, &request, &id, Rendition::Thumbnail).await
}

async fn show(
    access: &TenantAccess<ReadData>,
    request: &HttpRequest,
    id: &str,
    which: Rendition,
) -> Result<HttpResponse, Problem> {
    let of = PhotosOf::niche(access.tenant.niche.as_str()).ok_or_else(Problem::not_found)?;
    let photo: PhotoId = path_id(id)?;
    let published = access.run(of.published(photo)).await?.output;
    let for_anybody = published.ok_or_else(Problem::not_found)?;
    if !for_anybody && !may_read(request).await? {
        return Err(Problem::not_found());
    }
    let tag = match which {
        Rendition::Full => EntityTag::new_strong(photo.to_string()),
        Rendition::Thumbnail => EntityTag::new_strong(format!("{photo}-thumbnail")),
    };
    let kept = if for_anybody { FOR_ANYBODY } else { FOR_THE_TENANT };
    let (mut answer, known) = tagged(request, &tag, kept);
    if known {
        return Ok(answer.finish());
    }
    match access
        .platform()
        .photos
        .open(access.tenant.home.id, photo, which)
        .await
    {
        Ok(Some(bytes)) => Ok(answer.insert_header((CONTENT_TYPE, "image/jpeg")).body(bytes)),
        Ok(None) => {
            tracing::error!(%photo, "photo {photo} has no file");
            Err(Problem::not_found())
        }
        Err(error) => {
            tracing::error!(%photo, %error, "the file of photo {photo} cannot be read");
            Err(Problem::internal())
        }
    }
}

/// Whether the request has credentials that may read. Bad ones are as none: there is nothing here to be told about.
async fn may_read(request: &HttpRequest) -> Result<bool, Problem> {
    let asked = async { TenantAccess::<ReadData>::extract(request).await?.run(()).await };
    match asked.await {
        Ok(_) => Ok(true),
        Err(problem) if problem.status().is_client_error() => Ok(false),
        Err(problem) => Err(problem),
    }
}

/// An answer under this tag; `true`: whoever asks has it as it is, and is told so alone.
pub(super) fn tagged(
    request: &HttpRequest,
    tag: &EntityTag,
    kept: &'static str,
) -> (HttpResponseBuilder, bool) {
    let known = is_known(request, tag);
    let mut answer = match known {
        true => HttpResponse::NotModified(),
        false => HttpResponse::Ok(),
    };
    answer
        .insert_header((ETAG, tag.to_string()))
        .insert_header((CACHE_CONTROL, kept))
        // On the base domain the same address is another tenant's with another key.
        .insert_header((VARY, "X-Tenant-Key"));
    (answer, known)
}

fn is_known(request: &HttpRequest, tag: &EntityTag) -> bool {
    if !request.headers().contains_key(IF_NONE_MATCH) {
        return false;
    }
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(tag)),
        Err(_) => false,
    }
}
