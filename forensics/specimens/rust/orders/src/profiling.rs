//! jemalloc with its sampling profiler on, and the profile as pprof.

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// One block in 512 KiB on average is sampled; the environment's MALLOC_CONF goes before it.
#[allow(non_upper_case_globals)]
#[unsafe(export_name = "malloc_conf")]
pub static malloc_conf: &[u8] = b"prof:true,prof_active:true,lg_prof_sample:19\0";

/// What is live, by allocation stack: for `GET /debug/pprof/heap`.
pub async fn heap() -> Result<Vec<u8>, crate::Error> {
    let control = jemalloc_pprof::PROF_CTL
        .as_ref()
        .ok_or("jemalloc was built without its profiler")?;
    Ok(control
        .try_lock()
        .map_err(|_| "a profile is being taken")?
        .dump_pprof()?)
}
