//! `podbay offers`.

use crate::context::Context;
use crate::failure::Result;
use crate::output::{NONE, Rows, dollars, or_none};
use clap::Args;
use podbay_api::availability::{CustomSpecValue, GpuAvailability};
use podbay_api::client::OfferFilter;
use podbay_core::published::{GpuType, StockStatus};

/// List what can be ordered
#[derive(Debug, Args)]
pub struct Offers {
    /// GPU model, as in H100_80GB; CPU_NODE for none
    #[arg(long, value_name = "TYPE")]
    gpu_type: Option<String>,
    /// Number of GPUs
    #[arg(long, value_name = "NUMBER")]
    gpu_count: Option<u32>,
    /// Region; may be given several times
    #[arg(long = "region", value_name = "REGION")]
    regions: Vec<String>,
    /// Socket, as in SXM5
    #[arg(long, value_name = "SOCKET")]
    socket: Option<String>,
    /// Only what can be had now
    #[arg(long)]
    in_stock: bool,
}

impl Offers {
    /// Lists them.
    pub async fn run(self, context: &mut Context<'_>) -> Result<()> {
        let Self { gpu_type, gpu_count, regions, socket, in_stock } = self;
        let filter = OfferFilter { gpu_type, gpu_count, regions, socket, ..OfferFilter::default() };
        let mut offers = context.client()?.offers_all(&filter).await?;
        offers.retain(|offer| !in_stock || !offer.stock_status.is(StockStatus::Unavailable));
        context.list(&offers, "nothing is on offer that fits", table)
    }
}

fn table(offers: &[GpuAvailability]) -> Rows {
    let mut rows = Rows::new(&[
        "OFFER", "GPU", "COUNT", "SOCKET", "VCPU", "MEMORY", "DISK", "PRICE/H", "STOCK", "REGION",
    ]);
    for offer in offers {
        let no_gpu = offer.gpu_type.is(GpuType::CpuNode);
        rows.push(vec![
            offer.cloud_id.clone(),
            offer.gpu_type.to_string(),
            if no_gpu { NONE.to_owned() } else { offer.gpu_count.to_string() },
            if no_gpu { NONE.to_owned() } else { or_none(offer.socket.as_ref()) },
            size(&offer.vcpu, ""),
            size(&offer.memory, " GB"),
            size(&offer.disk, " GB"),
            or_none(offer.prices.effective().map(dollars)),
            offer.stock_status.to_string(),
            or_none(offer.region.as_ref()),
        ]);
    }
    rows
}

/// What one gets, and between what one can choose.
fn size(value: &CustomSpecValue, unit: &str) -> String {
    match (value.default_count, value.min_count, value.max_count) {
        (Some(count), Some(min), Some(max)) if min != max => format!("{count}{unit} ({min}–{max})"),
        (Some(count), ..) => format!("{count}{unit}"),
        (None, Some(min), Some(max)) => format!("{min}–{max}{unit}"),
        _ => NONE.to_owned(),
    }
}
