"""What SQL from outside may read and call: everything that is not here is refused.

Tables that are cdesk's own workings (bookkeeping of change streams, tasks, detectors, drift and legal holds) are not
here; what is told of them is in views that are. The names of all tables can be seen in CATALOG, to find one's way.
"""

from __future__ import annotations

BYTES_MAX = 2 * 10**9
"""That a question may read, as it is estimated, unless who asks says otherwise."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.lower().split())


GRANTED = _names("""
    CLAUDE_STREAM_V2 INSIGHT_ATOMS QUERY_HISTORY ARTIFACTS IDENTITY_OPERATION INSIGHT_SAID ACTIVITY_SCHEMA_VERSION
    ACTIVITY_ROLLUP LATENCY_ROLLUP LINK_ROLLUP STATEMENT_ROLLUP TASK_STATE TASK_HISTORY SCHEMA_DRIFT CATALOG_ADDITION
    VW_SQL_EVENTS VW_LLM_EVENTS VW_TOOL_EVENTS VW_FILE_EVENTS VW_SESSION_EVENTS VW_MCP_EVENTS VW_SYSTEM_EVENTS
    VW_INSIGHT_EVENTS V_ERRORS V_STATEMENTS VW_PRODUCT_METRICS V_EXECUTIVE_SUMMARY V_USER_ADOPTION
    V_TOOL_USAGE_ANALYTICS V_ERROR_ANALYSIS V_PROJECT_ACTIVITY V_ROLLUP_ROWS V_ROLLUP_ROWS_BEFORE V_COMPLETENESS
    V_COMPLETENESS_OVERALL V_STREAM_LAG V_TASK_MONITORING
""")  # fmt: skip
"""Tables and views, in small letters."""

CATALOG = frozenset({("information_schema", "tables"), ("information_schema", "columns")})

TABLE_FUNCTIONS = _names("range generate_series unnest json_each json_tree")

AGGREGATES = _names("""
    any_value approx_count_distinct approx_quantile approx_top_k arbitrary arg_max arg_max_null arg_min arg_min_null argmax
    argmin array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count count_if count_star countif covar_pop covar_samp
    entropy favg first fsum geomean geometric_mean group_concat histogram kahan_sum kurtosis kurtosis_pop last list listagg
    mad max max_by mean median min min_by mode product quantile quantile_cont quantile_disc regr_avgx regr_avgy regr_count
    regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy reservoir_quantile sem skewness stddev stddev_pop
    stddev_samp string_agg sum sum_no_overflow sumkahan var_pop var_samp variance json_group_array json_group_object
    json_group_structure variant_group_array variant_group_object wavg weighted_avg
""")

_WINDOWS = _names("""
    cume_dist dense_rank fill first_value lag last_value lead nth_value ntile percent_rank rank rank_dense row_number
""")

_NUMBERS = _names("""
    abs acos acosh add asin asinh atan atan2 atanh bin binom bit_count cbrt ceil ceiling cos cosh cot degrees divide even
    exp factorial fdiv floor fmod gamma gcd greatest greatest_common_divisor isfinite isinf isnan lcm least
    least_common_multiple lgamma ln log log10 log2 mod multiply nextafter pi pow power radians random round round_even
    roundbankers sign signbit sin sinh sqrt subtract tan tanh trunc xor if nullif formatreadabledecimalsize
    formatreadablesize format_bytes parse_formatted_bytes equi_width_bins
""")

_TEXTS = _names("""
    ascii bar base64 bit_length char_length character_length chr concat concat_ws contains damerau_levenshtein decode editdist3
    encode ends_with format from_base64 from_binary from_hex hamming hash hex ilike_escape instr jaccard jaro_similarity
    jaro_winkler_similarity lcase left left_grapheme len length length_grapheme levenshtein like_escape lower lpad ltrim
    md5 md5_number md5_number_lower md5_number_upper mismatches nfc_normalize not_ilike_escape not_like_escape octet_length
    ord overlay parse_dirname parse_dirpath parse_filename parse_path position prefix printf regexp_escape regexp_extract
    regexp_extract_all regexp_full_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table replace
    reverse right right_grapheme rpad rtrim sha1 sha256 split split_part starts_with str_split str_split_regex
    string_split string_split_regex string_to_array strip_accents strlen strpos substr substring substring_grapheme
    suffix to_base to_base64 to_binary to_hex translate trim ucase unbin unhex unicode upper url_decode url_encode
    !__postfix
""")

_TIMES = _names("""
    age ago century current_date current_localtime current_localtimestamp current_time current_timestamp date_add date_diff
    date_part date_sub date_trunc datediff datepart datesub datetrunc day dayname dayofmonth dayofweek dayofyear
    days_in_month decade epoch epoch_ms epoch_ns epoch_us era get_current_time get_current_timestamp hour isodow isoyear
    julian last_day make_date make_time make_timestamp make_timestamp_ms make_timestamp_ns make_timestamptz microsecond
    millennium millisecond minute month monthname nanosecond normalized_interval now quarter second strftime strptime
    time_bucket timezone timezone_hour timezone_minute to_centuries to_days to_decades to_hours to_microseconds
    to_millennia to_milliseconds to_minutes to_months to_quarters to_seconds to_timestamp to_weeks to_years today
    transaction_timestamp try_strptime week weekday weekofyear year yearweek uuid_extract_timestamp
""")

_NESTED = _names("""
    aggregate apply array_aggr array_aggregate array_append array_apply array_cat array_concat array_contains array_distinct
    array_extract array_filter array_has array_has_all array_has_any array_indexof array_intersect array_length
    array_pop_back array_pop_front array_position array_prepend array_push_back array_push_front array_reduce array_reverse
    array_reverse_sort array_select array_slice array_sort array_to_json array_to_string array_to_string_comma_default
    array_transform array_unique array_value array_where array_zip cardinality element_at filter flatten from_json
    from_json_strict grade_up json json_array json_array_length json_contains json_deep_merge json_exists json_extract
    json_extract_path json_extract_path_text json_extract_string json_keys json_merge_patch json_normalize json_object
    json_pretty json_quote json_remove json_replace json_set json_strip_nulls json_structure json_transform
    json_transform_strict json_type json_valid json_value list_aggr list_aggregate list_any_value list_append list_apply
    list_approx_count_distinct list_avg list_bit_and list_bit_or list_bit_xor list_bool_and list_bool_or list_cat
    list_concat list_contains list_count list_distinct list_element list_entropy list_extract list_filter list_first
    list_grade_up list_has list_has_all list_has_any list_histogram list_indexof list_intersect list_kurtosis list_last
    list_mad list_max list_median list_min list_mode list_pack list_position list_prepend list_product list_reduce
    list_reverse list_reverse_sort list_select list_sem list_skewness list_slice list_sort list_stddev_pop
    list_stddev_samp list_string_agg list_sum list_transform list_unique list_value list_var_pop list_var_samp list_where
    list_zip map map_concat map_contains map_contains_entry map_contains_value map_entries map_extract map_extract_value
    map_from_entries map_keys map_values reduce remap_struct row row_to_json struct_concat struct_contains struct_extract
    struct_extract_at struct_has struct_indexof struct_insert struct_keys struct_pack struct_position struct_update
    struct_values to_json union_extract union_tag union_value unnest unpivot_list variant_array_length variant_contains
    variant_exists variant_extract variant_extract_string variant_keys variant_normalize variant_type variant_typeof
    enum_code enum_first enum_last enum_range
""")

_OTHER = _names("""
    alias can_cast_implicitly cast_to_type constant_or_null error get_bit get_type gen_random_uuid pg_size_pretty
    pg_typeof set_bit try typeof uuid uuid_extract_version uuidv4 uuidv7 version
""")

FUNCTIONS = AGGREGATES | _WINDOWS | _NUMBERS | _TEXTS | _TIMES | _NESTED | _OTHER
"""Everything that may be called where a value stands."""
