// SPDX-License-Identifier: Apache-2.0

package view

// VmstatKey returns the key of memory.stat or memory.events that a label of
// /proc/vmstat is made from, on v2 and on v1, where it is total_ with keyV1 behind
// it. ok is false where there is none.
func VmstatKey(label string) (keyV2, keyV1 string, ok bool) {
	source, ok := vmstatSources[label]
	return source.key, source.keyV1, ok
}

// A vmstatSource says where a label's number comes from.
type vmstatSource struct {
	key, keyV1 string
	unit       vmstatUnit
}

// A vmstatUnit is what a label counts; the cgroup's key counts bytes, or the same
// events.
type vmstatUnit uint8

const (
	events vmstatUnit = iota
	pages
	hugePages // transparent ones (vmstat_item_print_in_thp, include/linux/mmzone.h)
	kibibytes
)

// size is how much of the key's value is one of the label's.
func (u vmstatUnit) size(in *VmstatInput) uint64 {
	switch u {
	case pages:
		return in.page()
	case hugePages:
		return in.hugePage()
	case kibibytes:
		return kB
	case events:
	}
	return 1
}

// vmstatSources has the labels of vmstat_text (mm/vmstat.c) for which a memory
// cgroup has the same number (memory_stats and memcg_vm_event_stat,
// mm/memcontrol.c; memcg1_stat_names, mm/memcontrol-v1.c), from Linux 4.15 to
// 6.18. A key that a kernel doesn't have is not found.
//
//nolint:gochecknoglobals // a constant table
var vmstatSources = map[string]vmstatSource{
	"nr_zone_inactive_anon": {"inactive_anon", "inactive_anon", pages},
	"nr_zone_active_anon":   {"active_anon", "active_anon", pages},
	"nr_zone_inactive_file": {"inactive_file", "inactive_file", pages},
	"nr_zone_active_file":   {"active_file", "active_file", pages},
	"nr_zone_unevictable":   {"unevictable", "unevictable", pages},
	"nr_inactive_anon":      {"inactive_anon", "inactive_anon", pages},
	"nr_active_anon":        {"active_anon", "active_anon", pages},
	"nr_inactive_file":      {"inactive_file", "inactive_file", pages},
	"nr_active_file":        {"active_file", "active_file", pages},
	"nr_unevictable":        {"unevictable", "unevictable", pages},

	"nr_anon_pages":           {"anon", "rss", pages},
	"nr_file_pages":           {"file", "cache", pages},
	"nr_mapped":               {"file_mapped", "mapped_file", pages},
	"nr_dirty":                {"file_dirty", "dirty", pages},
	"nr_writeback":            {"file_writeback", "writeback", pages},
	"nr_shmem":                {"shmem", "shmem", pages},
	"nr_swapcached":           {"swapcached", "swapcached", pages},
	"nr_slab_reclaimable":     {"slab_reclaimable", "", pages},
	"nr_slab_unreclaimable":   {"slab_unreclaimable", "", pages},
	"nr_page_table_pages":     {"pagetables", "", pages},
	"nr_sec_page_table_pages": {"sec_pagetables", "", pages},
	"nr_kernel_stack":         {"kernel_stack", "", kibibytes}, // since 4.8
	"nr_hugetlb":              {"hugetlb", "", pages},          // where the memory controller counts them

	"nr_anon_transparent_hugepages": {"anon_thp", "rss_huge", hugePages},
	"nr_file_hugepages":             {"file_thp", "", hugePages},
	"nr_shmem_hugepages":            {"shmem_thp", "", hugePages},

	"workingset_refault":       {"workingset_refault", "", events}, // one for both kinds before 5.9
	"workingset_activate":      {"workingset_activate", "", events},
	"workingset_restore":       {"workingset_restore", "", events},
	"workingset_refault_anon":  {"workingset_refault_anon", "workingset_refault_anon", events},
	"workingset_refault_file":  {"workingset_refault_file", "workingset_refault_file", events},
	"workingset_activate_anon": {"workingset_activate_anon", "", events},
	"workingset_activate_file": {"workingset_activate_file", "", events},
	"workingset_restore_anon":  {"workingset_restore_anon", "", events},
	"workingset_restore_file":  {"workingset_restore_file", "", events},
	"workingset_nodereclaim":   {"workingset_nodereclaim", "", events},

	"pgfault":      {"pgfault", "pgfault", events},
	"pgmajfault":   {"pgmajfault", "pgmajfault", events},
	"pgrefill":     {"pgrefill", "", events},
	"pgactivate":   {"pgactivate", "", events},
	"pgdeactivate": {"pgdeactivate", "", events},
	"pglazyfree":   {"pglazyfree", "", events},
	"pglazyfreed":  {"pglazyfreed", "", events},

	"pgscan_kswapd":      {"pgscan_kswapd", "", events},
	"pgscan_direct":      {"pgscan_direct", "", events},
	"pgscan_khugepaged":  {"pgscan_khugepaged", "", events},
	"pgscan_proactive":   {"pgscan_proactive", "", events},
	"pgsteal_kswapd":     {"pgsteal_kswapd", "", events},
	"pgsteal_direct":     {"pgsteal_direct", "", events},
	"pgsteal_khugepaged": {"pgsteal_khugepaged", "", events},
	"pgsteal_proactive":  {"pgsteal_proactive", "", events},

	"pgdemote_kswapd":     {"pgdemote_kswapd", "", events},
	"pgdemote_direct":     {"pgdemote_direct", "", events},
	"pgdemote_khugepaged": {"pgdemote_khugepaged", "", events},
	"pgdemote_proactive":  {"pgdemote_proactive", "", events},
	"pgpromote_success":   {"pgpromote_success", "", events},

	"pswpin":      {"pswpin", "", events},
	"pswpout":     {"pswpout", "", events},
	"swpin_zero":  {"swpin_zero", "", events},
	"swpout_zero": {"swpout_zero", "", events},
	"zswpin":      {"zswpin", "", events},
	"zswpout":     {"zswpout", "", events},
	"zswpwb":      {"zswpwb", "", events},

	"thp_fault_alloc":     {"thp_fault_alloc", "", events},
	"thp_collapse_alloc":  {"thp_collapse_alloc", "", events},
	"thp_swpout":          {"thp_swpout", "", events},
	"thp_swpout_fallback": {"thp_swpout_fallback", "", events},

	"numa_pages_migrated": {"numa_pages_migrated", "", events},
	"numa_pte_updates":    {"numa_pte_updates", "", events},
	"numa_hint_faults":    {"numa_hint_faults", "", events},
	"numa_task_migrated":  {"numa_task_migrated", "", events},
	"numa_task_swapped":   {"numa_task_swapped", "", events},

	"oom_kill": {"oom_kill", "oom_kill", events}, // of memory.events; v1 memory.oom_control
}
