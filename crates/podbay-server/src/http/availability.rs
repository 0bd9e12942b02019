//! `/api/v1/availability`.

use super::params::Params;
use super::view;
use crate::app::disks::near;
use crate::app::offers::{Near, Stocked, hosts, offers};
use crate::app::{Actor, App, Error};
use axum::extract::State;
use axum::{Extension, Json};
use podbay_api::NumberedPage;
use podbay_api::availability::{
    CHEAPEST, DiskAvailability, GpuAvailability, OfferMap, PriceSummary, PricingInfo,
};
use podbay_core::limits::{PAGE_SIZE_LEGACY_MAX, PAGE_SIZE_MAX};
use podbay_core::place::Terms;
use podbay_core::published::{GpuType, Region, Security, Socket};
use std::sync::Arc;

/// What a caller wants to see of the offers.
struct Filter {
    regions: Vec<Region>,
    gpu_count: Option<u32>,
    gpu_type: Option<GpuType>,
    socket: Option<Socket>,
    security: Option<Security>,
    data_center: Option<String>,
    cloud_id: Option<String>,
    /// Disks that the offers must be near to.
    disks: Vec<String>,
    page: u32,
    page_size: u32,
}

impl Filter {
    fn read(mut params: Params, page_size_max: u32) -> Result<Self, Error> {
        let filter = Self {
            regions: params.choices("regions", Region::parse, &spellings(Region::ALL, Region::as_str)),
            gpu_count: params.number_given("gpu_count", 1),
            gpu_type: params.choice("gpu_type", GpuType::parse, "those of the offers"),
            socket: params.choice("socket", Socket::parse, &spellings(Socket::ALL, Socket::as_str)),
            security: params.choice("security", Security::parse, &spellings(Security::ALL, Security::as_str)),
            data_center: params.get("data_center_id").map(str::to_owned),
            cloud_id: params.get("cloud_id").map(str::to_owned),
            disks: params.all("disks"),
            page: params.number("page", 1, 1),
            page_size: params.within("page_size", page_size_max, 1..=page_size_max),
        };
        params.finish()?;
        Ok(filter)
    }

    fn shows(&self, stocked: &Stocked, terms: &Terms) -> bool {
        let offer = &stocked.offer;
        let is = |wanted: &Option<String>, have: Option<&String>| wanted.is_none() || wanted.as_ref() == have;
        is_place(&self.regions, self.data_center.as_ref(), terms)
            && self.gpu_count.is_none_or(|count| count == offer.gpu_count)
            && self.gpu_type.is_none_or(|gpu| gpu == offer.gpu_type)
            && self.socket.is_none_or(|socket| socket == offer.socket)
            && self.security.is_none_or(|security| security == terms.security)
            && is(&self.cloud_id, Some(&offer.cloud_id))
    }
}

fn spellings<T: Copy>(all: &[T], spell: impl Fn(T) -> &'static str) -> String {
    all.iter().map(|value| spell(*value)).collect::<Vec<_>>().join(", ")
}

/// What a caller wants to see of the offers of disks. What only GPUs have is unknown here.
struct DiskFilter {
    regions: Vec<Region>,
    data_center: Option<String>,
    cloud_id: Option<String>,
    page: u32,
    page_size: u32,
}

impl DiskFilter {
    fn read(mut params: Params) -> Result<Self, Error> {
        let filter = Self {
            regions: params.choices("regions", Region::parse, &spellings(Region::ALL, Region::as_str)),
            data_center: params.get("data_center_id").map(str::to_owned),
            cloud_id: params.get("cloud_id").map(str::to_owned),
            page: params.number("page", 1, 1),
            page_size: params.within("page_size", PAGE_SIZE_MAX, 1..=PAGE_SIZE_MAX),
        };
        params.finish()?;
        Ok(filter)
    }

    fn shows(&self, offer: &DiskAvailability, terms: &Terms) -> bool {
        is_place(&self.regions, self.data_center.as_ref(), terms)
            && (self.cloud_id.is_none() || self.cloud_id == offer.cloud_id)
    }
}

/// Whether that place is one of the regions, and the data centre, that are asked for.
fn is_place(regions: &[Region], data_center: Option<&String>, terms: &Terms) -> bool {
    (regions.is_empty() || terms.region.is_some_and(|region| regions.contains(&region)))
        && (data_center.is_none() || data_center == terms.data_center.as_ref())
}

/// What of `rows` is on that page, counted from 1.
fn cut<T>(rows: Vec<T>, page: u32, page_size: u32) -> Vec<T> {
    let skip = u64::from(page - 1) * u64::from(page_size);
    let skip = usize::try_from(skip).unwrap_or(usize::MAX);
    rows.into_iter().skip(skip).take(page_size as usize).collect()
}

/// The filtered offers of the page, and how many there are on all pages.
async fn filtered(app: &App, actor: &Actor, filter: &Filter) -> Result<(Vec<GpuAvailability>, u64), Error> {
    let (stocked, terms, _) = offers(app, &near(app, actor, &filter.disks).await?).await?;
    let shown: Vec<_> = stocked.iter().filter(|stocked| filter.shows(stocked, &terms)).collect();
    let total = shown.len() as u64;
    let page = cut(shown, filter.page, filter.page_size);
    Ok((page.into_iter().map(|stocked| view::offer(stocked, &terms)).collect(), total))
}

pub(super) async fn gpus(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    params: Params,
) -> Result<Json<NumberedPage<GpuAvailability>>, Error> {
    let (items, total_count) = filtered(&app, &actor, &Filter::read(params, PAGE_SIZE_MAX)?).await?;
    Ok(Json(NumberedPage { items, total_count }))
}

/// There are no offers of several machines: an empty page with an exact count.
pub(super) async fn multi_node(params: Params) -> Result<Json<NumberedPage<GpuAvailability>>, Error> {
    Filter::read(params, PAGE_SIZE_MAX)?;
    Ok(Json(NumberedPage { items: Vec::new(), total_count: 0 }))
}

/// The offers of persistent disks: the one, while it is where the caller looks.
pub(super) async fn disks(
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Json<NumberedPage<DiskAvailability>>, Error> {
    let filter = DiskFilter::read(params)?;
    let (terms, hosts) = (app.config.terms(), hosts(&app, &Near::Anywhere).await?);
    let offer = view::disk_offer(&app, &terms, &hosts);
    let items: Vec<_> = filter.shows(&offer, &terms).then_some(offer).into_iter().collect();
    let total_count = items.len() as u64;
    Ok(Json(NumberedPage { items: cut(items, filter.page, filter.page_size), total_count }))
}

/// No offers of several machines, in the legacy form.
pub(super) async fn clusters(params: Params) -> Result<Json<OfferMap>, Error> {
    Filter::read(params, PAGE_SIZE_LEGACY_MAX)?;
    Ok(Json(OfferMap::new()))
}

/// No offers of several machines, so no prices of them.
pub(super) async fn multi_node_summary() -> Json<PriceSummary> {
    Json(PriceSummary::new())
}

pub(super) async fn legacy(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    params: Params,
) -> Result<Json<OfferMap>, Error> {
    let (items, _) = filtered(&app, &actor, &Filter::read(params, PAGE_SIZE_LEGACY_MAX)?).await?;
    let mut map = OfferMap::new();
    for item in items {
        map.entry(item.gpu_type.to_string()).or_default().push(item);
    }
    Ok(Json(map))
}

pub(super) async fn summary(State(app): State<Arc<App>>) -> Result<Json<PriceSummary>, Error> {
    let (stocked, terms, _) = offers(&app, &Near::Anywhere).await?;
    let mut summary = PriceSummary::new();
    for Stocked { offer, .. } in &stocked {
        let price = Some(offer.price.dollars());
        let secure = terms.security == Security::SecureCloud;
        let info = PricingInfo {
            on_demand: price.filter(|_| secure),
            community_price: price.filter(|_| !secure),
            spot_price: None,
        };
        let counts = summary.entry(offer.gpu_type.to_string()).or_default();
        let row = counts.entry(offer.gpu_count.to_string()).or_default();
        let keys = [Some(CHEAPEST.to_owned()), terms.region.map(|region| region.to_string())];
        for key in keys.into_iter().flatten() {
            let slot = row.entry(key).or_insert(Some(info));
            let known = slot.and_then(|known| known.on_demand.or(known.community_price));
            if known.is_none_or(|known| price.is_some_and(|price| price < known)) {
                *slot = Some(info);
            }
        }
    }
    Ok(Json(summary))
}
