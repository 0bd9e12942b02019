//! `/skypilot/vms.csv`: the offers as the catalog that SkyPilot reads from a file.

use crate::app::offers::{Near, Stocked, offers};
use crate::app::{App, Error};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use podbay_core::place::{Offer, Terms};
use podbay_core::published::{GpuType, ProviderType};
use serde_json::json;
use std::sync::Arc;

const HEAD: &str = "InstanceType,UpstreamCloudId,vCPUs,MemoryGiB,AcceleratorName,AcceleratorCount,GpuInfo,\
                    Region,AvailabilityZone,Price,SpotPrice\n";
/// What it leaves out of an order, instead of sending a country or a data centre.
const UNSPECIFIED: &str = "UNSPECIFIED";

pub(super) async fn catalog(State(app): State<Arc<App>>) -> Result<Response, Error> {
    let (stocked, terms, _) = offers(&app, &Near::Anywhere).await?;
    let rows: String = stocked.iter().map(|Stocked { offer, .. }| row(offer, &terms)).collect();
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], format!("{HEAD}{rows}")).into_response())
}

fn row(offer: &Offer, terms: &Terms) -> String {
    let (vcpus, memory) = (offer.size.vcpus, offer.size.memory_gb);
    let no_gpu = offer.gpu_type == GpuType::CpuNode;
    let machine = if no_gpu { "CPU_NODE".into() } else { format!("{}x{}", offer.gpu_count, offer.gpu_type) };
    let cells = [
        format!("{}__{machine}__{vcpus}__{memory}", ProviderType::Primecompute),
        offer.cloud_id.clone(),
        vcpus.to_string(),
        memory.to_string(),
        if no_gpu { String::new() } else { accelerator(offer.gpu_type) },
        if no_gpu { String::new() } else { offer.gpu_count.to_string() },
        // Its list of GPUs breaks on a row without one, unless this is empty.
        if no_gpu { String::new() } else { gpu_info(offer) },
        terms.country.clone().unwrap_or_else(|| UNSPECIFIED.into()),
        terms.data_center.clone().unwrap_or_else(|| UNSPECIFIED.into()),
        offer.price.dollars().to_string(),
        String::new(),
    ];
    let mut line = cells.map(|cell| quoted(&cell)).join(",");
    line.push('\n');
    line
}

/// The model alone, but with the memory where the model has two sizes of it and people name the larger.
fn accelerator(gpu_type: GpuType) -> String {
    match gpu_type {
        GpuType::A100x80 => "A100-80GB".into(),
        GpuType::V100x32 => "V100-32GB".into(),
        other => other.as_str().rsplit_once('_').map_or(other.as_str(), |(model, _)| model).replace('_', ""),
    }
}

fn gpu_info(offer: &Offer) -> String {
    let mib = offer.gpu_memory_gb * 1024;
    json!({
        "Gpus": [{
            "Name": accelerator(offer.gpu_type),
            "Count": offer.gpu_count,
            "MemoryInfo": { "SizeInMiB": mib },
        }],
        "TotalGpuMemoryInMiB": mib * offer.gpu_count,
    })
    .to_string()
}

fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accelerators_have_the_names_that_people_ask_for() {
        let cases = [
            (GpuType::A100x80, "A100-80GB"),
            (GpuType::A100x40, "A100"),
            (GpuType::H100, "H100"),
            (GpuType::Gb200, "GB200"),
            (GpuType::Rtx6000Ada, "RTX6000Ada"),
            (GpuType::RtxPro6000B, "RTXPRO6000B"),
            (GpuType::V100x16, "V100"),
        ];
        for (gpu_type, name) in cases {
            assert_eq!(accelerator(gpu_type), name);
        }
    }

    #[test]
    fn a_cell_that_would_break_the_line_is_quoted() {
        assert_eq!(quoted("a\"b,c"), "\"a\"\"b,c\"");
        assert_eq!(quoted("plain"), "plain");
    }
}
