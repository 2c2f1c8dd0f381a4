"""What statements may use on the ClickHouse endpoint: the allow lists, as data.

Each list names what only computes on its arguments or reads the store's own tables. Left out, although they only read:
what reads files, dictionaries, other hosts, the process or its environment; what waits, logs or raises at will; what
takes the name of a function, a table or a format as text, since this module could not see through it.

``tests/collecting/engine_names.txt`` records everything else that the engine names. A release of the engine that brings
a function, table function, table engine, system column, format or keyword on neither list fails the tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable

MAX_MEMORY_BYTES = 1 << 30  # of one query
MAX_SECONDS = 600
MAX_THREADS = 16
MAX_BLOCK_ROWS = 1 << 20


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTIONS = _names(
    # Operators, conditions and what the parser makes of syntax
    """
    _CAST abs and assumeNotNull avg2 bitAnd bitCount bitHammingDistance bitNot bitOr bitRotateLeft bitRotateRight
    bitShiftLeft bitShiftRight bitSlice bitTest bitTestAll bitTestAny bitXor byteSwap caseWithExpr caseWithExpression
    caseWithoutExpr caseWithoutExpression ceil ceiling clamp coalesce divide divideDecimal divideOrNull equals
    firstNonDefault floor gcd globalIn globalNotIn globalNotNullIn globalNullIn greater greaterOrEquals greatest if
    ifNotFinite ifNull in intDiv intDivOrNull intDivOrZero isDistinctFrom isFinite isInfinite isNaN isNotDistinctFrom
    isNotNull isNull isNullable isZeroOrNull lcm least less lessOrEquals max2 midpoint min2 minus mod modOrNull modulo
    moduloLegacy moduloOrNull moduloOrZero multiIf multiply multiplyDecimal negate nested not notEquals notIn
    notNullIn nullIf nullIn or plus pmod pmodOrNull positive_modulo positive_modulo_or_null positiveModulo
    positiveModuloOrNull round roundAge roundBankers roundDown roundDuration roundToExp2 sqr toNullable trunc truncate
    xor
    """
    # Strings
    """
    alphaTokens appendTrailingCharIfAbsent array_to_string arrayStringConcat ascii base32Decode base32Encode
    base58Decode base58Encode base64Decode base64Encode base64URLDecode base64URLEncode basename byteHammingDistance
    byteSlice caseFoldUTF8 CHAR_LENGTH CHARACTER_LENGTH compareSubstrings concat concat_ws concatAssumeInjective
    concatWithSeparator concatWithSeparatorAssumeInjective conv convertCharset countMatches
    countMatchesCaseInsensitive countSubstrings countSubstringsCaseInsensitive countSubstringsCaseInsensitiveUTF8
    CRC32 CRC32IEEE CRC64 damerauLevenshteinDistance decodeHTMLComponent decodeXMLComponent editDistance
    editDistanceUTF8 encodeXMLComponent endsWith endsWithCaseInsensitive endsWithCaseInsensitiveUTF8 endsWithUTF8
    extract extractAll extractAllGroups extractAllGroupsHorizontal extractAllGroupsVertical extractGroups
    extractTextFromHTML firstLine format FROM_BASE64 hasAllToken hasAllTokens hasAnyToken hasAnyTokens hasPhrase
    hasSubsequence hasSubsequenceCaseInsensitive hasSubsequenceCaseInsensitiveUTF8 hasSubsequenceUTF8 hasToken
    hasTokenCaseInsensitive hasTokenCaseInsensitiveOrNull hasTokenOrNull ilike initcap initcapUTF8 instr isASCII
    isValidASCII isValidUTF8 jaroSimilarity jaroWinklerSimilarity lcase left leftPad leftPadUTF8 leftUTF8 lengthUTF8
    levenshteinDistance levenshteinDistanceUTF8 like locate lower lowerUTF8 lpad ltrim match matchCaseInsensitive
    matchPhrase mid mismatches multiSearchAllPositions multiSearchAllPositionsCaseInsensitive
    multiSearchAllPositionsCaseInsensitiveUTF8 multiSearchAllPositionsUTF8 multiSearchAny
    multiSearchAnyCaseInsensitive multiSearchAnyCaseInsensitiveUTF8 multiSearchAnyUTF8 multiSearchFirstIndex
    multiSearchFirstIndexCaseInsensitive multiSearchFirstIndexCaseInsensitiveUTF8 multiSearchFirstIndexUTF8
    multiSearchFirstPosition multiSearchFirstPositionCaseInsensitive multiSearchFirstPositionCaseInsensitiveUTF8
    multiSearchFirstPositionUTF8 ngramDistance ngramDistanceCaseInsensitive
    ngramDistanceCaseInsensitiveUTF8 ngramDistanceUTF8 ngrams ngramSearch ngramSearchCaseInsensitive
    ngramSearchCaseInsensitiveUTF8 ngramSearchUTF8 normalizeUTF8NFC normalizeUTF8NFD normalizeUTF8NFKC
    normalizeUTF8NFKCCasefold normalizeUTF8NFKD notILike notLike notMatch notMatchCaseInsensitive overlay overlayUTF8
    position positionCaseInsensitive positionCaseInsensitiveUTF8 positionUTF8 printf REGEXP_EXTRACT regexp_instr
    REGEXP_MATCHES REGEXP_REPLACE REGEXP_SUBSTR regexpExtract regexpInstr regexpPosition regexpQuoteMeta
    removeAccentsUTF8 removeDiacriticsUTF8 repeat replace replaceAll replaceOne replaceRegexpAll replaceRegexpOne
    reverseBySeparator reverseUTF8 right rightPad rightPadUTF8 rightUTF8 rpad rtrim soundex space sparseGrams
    sparseGramsHashes sparseGramsHashesUTF8 sparseGramsUTF8 splitByAlpha splitByChar splitByNonAlpha splitByRegexp
    splitByString splitByWhitespace startsWith startsWithCaseInsensitive startsWithCaseInsensitiveUTF8 startsWithUTF8
    stringBytesEntropy stringBytesUniq stringJaccardIndex stringJaccardIndexUTF8 substr substring SUBSTRING_INDEX
    substringIndex substringIndexUTF8 substringUTF8 TO_BASE64 tokens tokensForLikePattern toValidUTF8 translate
    translateUTF8 trim trimBoth trimLeft trimRight tryBase32Decode tryBase58Decode tryBase64Decode tryBase64URLDecode
    ucase upper upperUTF8
    """
    # Arrays, maps and tuples
    """
    array array_remove arrayAll arrayAUC arrayAUCPR arrayAutocorrelation arrayAvg arrayBottomK arrayCompact
    arrayConcat arrayCount arrayCumSum arrayCumSumNonNegative arrayDifference arrayDistinct arrayDotProduct
    arrayElement arrayElementOrNull arrayEnumerate arrayEnumerateDense arrayEnumerateDenseRanked arrayEnumerateUniq
    arrayEnumerateUniqRanked arrayExcept arrayExists arrayFill arrayFilter arrayFirst arrayFirstIndex arrayFirstOrNull
    arrayFlatten arrayFlattenedLength arrayFold arrayIntersect arrayJaccardIndex arrayJoin arrayLast arrayLastIndex
    arrayLastOrNull arrayLevenshteinDistance arrayMap arrayMax arrayMin arrayNormalizedGini arrayPartialReverseSort
    arrayPartialShuffle arrayPartialSort arrayPopBack arrayPopFront arrayPRAUC arrayProduct arrayPushBack
    arrayPushFront arrayRandomSample arrayRemove arrayResize arrayReverse arrayReverseFill arrayReverseSort
    arrayReverseSplit arrayROCAUC arrayRotateLeft arrayRotateRight arrayShiftLeft arrayShiftRight arrayShingles
    arrayShuffle arraySimilarity arraySlice arraySort arraySplit arraySum arraySymmetricDifference arrayTopK
    arrayTranspose arrayUnion arrayUniq arrayWithConstant arrayZip arrayZipUnaligned bitmapAnd bitmapAndCardinality
    bitmapAndnot bitmapAndnotCardinality bitmapBuild bitmapCardinality bitmapContains bitmapHasAll bitmapHasAny
    bitmapMax bitmapMin bitmapOr bitmapOrCardinality bitmapSubsetInRange bitmapSubsetLimit bitmapToArray
    bitmapTransform bitmapXor bitmapXorCardinality CARDINALITY countEqual dotProduct empty emptyArrayDate
    emptyArrayDateTime emptyArrayFloat32 emptyArrayFloat64 emptyArrayInt16 emptyArrayInt32 emptyArrayInt64
    emptyArrayInt8 emptyArrayString emptyArrayToSingle emptyArrayUInt16 emptyArrayUInt32 emptyArrayUInt64
    emptyArrayUInt8 extractKeyValuePairs extractKeyValuePairsWithEscaping flatten flattenTuple has hasAll hasAny
    hasSubstr indexOf indexOfAssumeSorted length map MAP_FROM_ARRAYS mapAdd mapAll mapApply mapConcat mapContains
    mapContainsKey mapContainsKeyLike mapContainsValue mapContainsValueLike mapExists mapExtractKeyLike
    mapExtractValueLike mapFilter mapFromArrays mapFromString mapKeys mapPartialReverseSort mapPartialSort
    mapPopulateSeries mapReverseSort mapSort mapSubtract mapUpdate mapValues notEmpty notHas OCTET_LENGTH range
    replicate reverse scalarProduct str_to_map subBitmap tuple tupleConcat tupleDivide tupleDivideByNumber
    tupleElement tupleHammingDistance tupleIntDiv tupleIntDivByNumber tupleIntDivOrZero tupleIntDivOrZeroByNumber
    tupleMinus tupleModulo tupleModuloByNumber tupleMultiply tupleMultiplyByNumber tupleNames tupleNegate tuplePlus
    tuplePositiveModuloByNumber tupleToNameValuePairs unnest vectorDifference vectorSum
    """
    # Numbers
    """
    acos acosh asin asinh atan atan2 atanh cbrt cos cosh degrees e erf erfc exp exp10 exp2 factorial
    financialInternalRateOfReturn financialInternalRateOfReturnExtended financialNetPresentValue
    financialNetPresentValueExtended hypot intExp10 intExp2 isPrime isProbablePrime lgamma ln log log10 log1p log2 pi
    pow power proportionsZTest radians rand rand32 rand64 randBernoulli randBinomial randCanonical randChiSquared
    randConstant randExponential randFisherF randLogNormal randNegativeBinomial randNormal randomFixedString
    randomPrintableASCII randomString randomStringUTF8 randPoisson randStudentT randUniform sigmoid sign sin sinh sqrt
    tan tanh tgamma width_bucket widthBucket
    """
    # Dates and times
    """
    addDate addDays addHours addInterval addMicroseconds addMilliseconds addMinutes addMonths addNanoseconds
    addQuarters addSeconds addTupleOfIntervals addWeeks addYears age changeDay changeHour changeMinute changeMonth
    changeSecond changeYear curdate current_date current_timestamp date_bin date_diff DATE_DIFF DATE_FORMAT DATE_TRUNC
    dateDiff dateName dateTrunc DAY DAYOFMONTH DAYOFWEEK DAYOFYEAR formatDateTime formatDateTimeInJodaSyntax FROM_DAYS
    FROM_UNIXTIME from_utc_timestamp fromDaysSinceYearZero fromDaysSinceYearZero32 fromModifiedJulianDay
    fromModifiedJulianDayOrNull fromUnixTimestamp fromUnixTimestampInJodaSyntax fromUTCTimestamp hop hopEnd hopStart
    HOUR LAST_DAY localtime localtimestamp makeDate makeDate32 makeDateTime makeDateTime64 MICROSECOND MILLISECOND
    MINUTE MONTH monthName NANOSECOND now now64 nowInBlock nowInBlock64 QUARTER SECOND serverTimeZone serverTimezone
    subDate subtractDays subtractHours subtractInterval subtractMicroseconds subtractMilliseconds subtractMinutes
    subtractMonths subtractNanoseconds subtractQuarters subtractSeconds subtractTupleOfIntervals subtractWeeks
    subtractYears time_bucket timeDiff timeSlot timeSlots timestamp timestamp_diff TIMESTAMP_DIFF timestampDiff
    timeZone timezone timezoneOf timeZoneOf timezoneOffset timeZoneOffset TO_DAYS to_utc_timestamp today toDayOfMonth
    toDayOfWeek toDayOfYear toDaysInMonth toDaysSinceYearZero toHour toISOWeek toISOYear toLastDayOfMonth
    toLastDayOfWeek toMicrosecond toMillisecond toMinute toModifiedJulianDay toModifiedJulianDayOrNull toMonday
    toMonth toMonthNumSinceEpoch toNanosecond toQuarter toRelativeDayNum toRelativeHourNum toRelativeMinuteNum
    toRelativeMonthNum toRelativeQuarterNum toRelativeSecondNum toRelativeWeekNum toRelativeYearNum toSecond
    toStartOfDay toStartOfFifteenMinutes toStartOfFiveMinute toStartOfFiveMinutes toStartOfHour toStartOfInterval
    toStartOfISOYear toStartOfMicrosecond toStartOfMillisecond toStartOfMinute toStartOfMonth toStartOfNanosecond
    toStartOfQuarter toStartOfSecond toStartOfTenMinutes toStartOfWeek toStartOfYear toTimeWithFixedDate toTimezone
    toTimeZone toUnixTimestamp toUTCTimestamp toWeek toYear toYearNumSinceEpoch toYearWeek toYYYYMM toYYYYMMDD
    toYYYYMMDDhhmmss tumble tumbleEnd tumbleStart UTC_timestamp UTCTimestamp week YEAR yearweek yesterday
    YYYYMMDDhhmmssToDateTime YYYYMMDDhhmmssToDateTime64 YYYYMMDDToDate YYYYMMDDToDate32
    """
    # Types
    """
    accurateCast accurateCastOrDefault accurateCastOrNull CAST DATE fromUnixTimestamp64Micro fromUnixTimestamp64Milli
    fromUnixTimestamp64Nano fromUnixTimestamp64Second parseDateTime parseDateTime32BestEffort
    parseDateTime32BestEffortOrNull parseDateTime32BestEffortOrZero parseDateTime64 parseDateTime64BestEffort
    parseDateTime64BestEffortOrNull parseDateTime64BestEffortOrZero parseDateTime64BestEffortUS
    parseDateTime64BestEffortUSOrNull parseDateTime64BestEffortUSOrZero parseDateTime64InJodaSyntax
    parseDateTime64InJodaSyntaxOrNull parseDateTime64InJodaSyntaxOrZero parseDateTime64OrNull parseDateTime64OrZero
    parseDateTimeBestEffort parseDateTimeBestEffortOrNull parseDateTimeBestEffortOrZero parseDateTimeBestEffortUS
    parseDateTimeBestEffortUSOrNull parseDateTimeBestEffortUSOrZero parseDateTimeInJodaSyntax
    parseDateTimeInJodaSyntaxOrNull parseDateTimeInJodaSyntaxOrZero parseDateTimeOrNull parseDateTimeOrZero
    reinterpret reinterpretAsDate reinterpretAsDateTime reinterpretAsFixedString reinterpretAsFloat32
    reinterpretAsFloat64 reinterpretAsInt128 reinterpretAsInt16 reinterpretAsInt256 reinterpretAsInt32
    reinterpretAsInt64 reinterpretAsInt8 reinterpretAsString reinterpretAsUInt128 reinterpretAsUInt16
    reinterpretAsUInt256 reinterpretAsUInt32 reinterpretAsUInt64 reinterpretAsUInt8 reinterpretAsUUID str_to_date
    TO_UNIXTIME toBFloat16 toBFloat16OrNull toBFloat16OrZero toBool toDate toDate32 toDate32OrDefault toDate32OrNull
    toDate32OrZero toDateOrDefault toDateOrNull toDateOrZero toDateTime toDateTime32 toDateTime64
    toDateTime64OrDefault toDateTime64OrNull toDateTime64OrZero toDateTimeOrDefault toDateTimeOrNull toDateTimeOrZero
    toDecimal128 toDecimal128OrDefault toDecimal128OrNull toDecimal128OrZero toDecimal256 toDecimal256OrDefault
    toDecimal256OrNull toDecimal256OrZero toDecimal32 toDecimal32OrDefault toDecimal32OrNull toDecimal32OrZero
    toDecimal64 toDecimal64OrDefault toDecimal64OrNull toDecimal64OrZero toDecimalString toFixedString toFloat32
    toFloat32OrDefault toFloat32OrNull toFloat32OrZero toFloat64 toFloat64OrDefault toFloat64OrNull toFloat64OrZero
    toInt128 toInt128OrDefault toInt128OrNull toInt128OrZero toInt16 toInt16OrDefault toInt16OrNull toInt16OrZero
    toInt256 toInt256OrDefault toInt256OrNull toInt256OrZero toInt32 toInt32OrDefault toInt32OrNull toInt32OrZero
    toInt64 toInt64OrDefault toInt64OrNull toInt64OrZero toInt8 toInt8OrDefault toInt8OrNull toInt8OrZero toInterval
    toIntervalDay toIntervalHour toIntervalMicrosecond toIntervalMillisecond toIntervalMinute toIntervalMonth
    toIntervalNanosecond toIntervalQuarter toIntervalSecond toIntervalWeek toIntervalYear toLowCardinality toString
    toStringCutToZero toTime toTime64 toTime64OrNull toTime64OrZero toTimeOrNull toTimeOrZero toUInt128
    toUInt128OrDefault toUInt128OrNull toUInt128OrZero toUInt16 toUInt16OrDefault toUInt16OrNull toUInt16OrZero
    toUInt256 toUInt256OrDefault toUInt256OrNull toUInt256OrZero toUInt32 toUInt32OrDefault toUInt32OrNull
    toUInt32OrZero toUInt64 toUInt64OrDefault toUInt64OrNull toUInt64OrZero toUInt8 toUInt8OrDefault toUInt8OrNull
    toUInt8OrZero toUnixTimestamp64Micro toUnixTimestamp64Milli toUnixTimestamp64Nano toUnixTimestamp64Second toUUID
    toUUIDOrZero
    """
    # JSON, URLs and addresses
    """
    cutFragment cutIPv6 cutQueryString cutQueryStringAndFragment cutToFirstSignificantSubdomain
    cutToFirstSignificantSubdomainRFC cutToFirstSignificantSubdomainWithWWW cutToFirstSignificantSubdomainWithWWWRFC
    cutURLParameter cutWWW decodeURLComponent decodeURLFormComponent domain domainRFC domainWithoutWWW
    domainWithoutWWWRFC dynamicElement dynamicType encodeURLComponent encodeURLFormComponent extractURLParameter
    extractURLParameterNames extractURLParameters firstSignificantSubdomain firstSignificantSubdomainRFC fragment
    INET6_ATON INET6_NTOA INET_ATON INET_NTOA IPv4CIDRToRange IPv4NumToString IPv4NumToStringClassC IPv4StringToNum
    IPv4StringToNumOrDefault IPv4StringToNumOrNull IPv4ToIPv6 IPv6CIDRToRange IPv6NumToString IPv6StringToNum
    IPv6StringToNumOrDefault IPv6StringToNumOrNull isIPAddressInRange isIPv4String isIPv6String isValidJSON
    JSON_ARRAY_LENGTH JSON_EXISTS JSON_QUERY JSON_VALUE JSONAllPaths JSONAllPathsWithTypes JSONAllValues
    JSONArrayLength JSONDynamicPaths JSONDynamicPathsWithTypes JSONExtract JSONExtractArrayRaw
    JSONExtractArrayRawCaseInsensitive JSONExtractBool JSONExtractBoolCaseInsensitive JSONExtractCaseInsensitive
    JSONExtractFloat JSONExtractFloatCaseInsensitive JSONExtractInt JSONExtractIntCaseInsensitive JSONExtractKeys
    JSONExtractKeysAndValues JSONExtractKeysAndValuesCaseInsensitive JSONExtractKeysAndValuesRaw
    JSONExtractKeysAndValuesRawCaseInsensitive JSONExtractKeysCaseInsensitive JSONExtractRaw
    JSONExtractRawCaseInsensitive JSONExtractString JSONExtractStringCaseInsensitive JSONExtractUInt
    JSONExtractUIntCaseInsensitive JSONHas JSONKey JSONLength JSONMergePatch jsonMergePatch JSONSharedDataPaths
    JSONSharedDataPathsWithTypes JSONType netloc path pathFull port portRFC prettyPrintJSON protocol queryString
    queryStringAndFragment simpleJSONExtractBool simpleJSONExtractFloat simpleJSONExtractInt simpleJSONExtractRaw
    simpleJSONExtractString simpleJSONExtractUInt simpleJSONHas toIPv4 toIPv4OrDefault toIPv4OrNull toIPv4OrZero
    toIPv6 toIPv6OrDefault toIPv6OrNull toIPv6OrZero toJSONString topLevelDomain topLevelDomainRFC URLHierarchy
    URLPathHierarchy visitParamExtractBool visitParamExtractFloat visitParamExtractInt visitParamExtractRaw
    visitParamExtractString visitParamExtractUInt visitParamHas
    """
    # Hashes, encodings and identifiers
    """
    bin bitmaskToArray bitmaskToList bitPositionsToArray char cityHash64 dateTime64ToSnowflakeID dateTimeToSnowflakeID
    dateTimeToUUIDv7 farmFingerprint64 farmHash64 gccMurmurHash generateUUIDv4 generateUUIDv7 halfMD5 hex
    hilbertDecode hilbertEncode intHash32 intHash64 javaHash javaHashUTF16LE jumpConsistentHash kafkaMurmurHash
    keccak256 kostikConsistentHash MD4 MD5 metroHash64 mortonDecode mortonEncode murmurHash2_32 murmurHash2_64
    murmurHash3_128 murmurHash3_32 murmurHash3_64 ngramMinHash ngramMinHashArg ngramMinHashArgCaseInsensitive
    ngramMinHashArgCaseInsensitiveUTF8 ngramMinHashArgUTF8 ngramMinHashCaseInsensitive ngramMinHashCaseInsensitiveUTF8
    ngramMinHashUTF8 ngramSimHash ngramSimHashCaseInsensitive ngramSimHashCaseInsensitiveUTF8 ngramSimHashUTF8
    RIPEMD160 SHA1 SHA224 SHA256 SHA384 SHA512 SHA512_256 sipHash128 sipHash128Keyed sipHash64 sipHash64Keyed
    snowflakeIDToDateTime snowflakeIDToDateTime64 sqid sqidDecode sqidEncode toUUIDOrDefault toUUIDOrNull unbin unhex
    UUIDNumToString UUIDStringToNum UUIDToNum UUIDv7ToDateTime wordShingleMinHash wordShingleMinHashArg
    wordShingleMinHashArgCaseInsensitive wordShingleMinHashArgCaseInsensitiveUTF8 wordShingleMinHashArgUTF8
    wordShingleMinHashCaseInsensitive wordShingleMinHashCaseInsensitiveUTF8 wordShingleMinHashUTF8 wordShingleSimHash
    wordShingleSimHashCaseInsensitive wordShingleSimHashCaseInsensitiveUTF8 wordShingleSimHashUTF8 wyHash64 xxh3
    xxh3_128 xxHash32 xxHash64 xxHash64Spark yandexConsistentHash
    """
    # The session, the engine's version and the shape of values
    """
    bar blockNumber blockSize byteSize countDigits current_database current_user currentDatabase currentUser DATABASE
    defaultValueOfArgumentType defaultValueOfTypeName digits displayName errorCodeToName FORMAT_BYTES
    formatReadableDecimalSize formatReadableQuantity formatReadableSize formatReadableTimeDelta getSubcolumn identity
    ignore indexHint isConstant isDecimalOverflow materialize parseISO8601Duration parseReadableSize
    parseReadableSizeOrNull parseReadableSizeOrZero parseTimeDelta revision rowNumberInAllBlocks rowNumberInBlock
    SCHEMA toColumnTypeName toTypeName transform uptime user variantElement variantType version visibleWidth
    """
)

# what the parser makes of syntax, or the analyzer resolves, without naming it in system.functions
SYNTAX_FUNCTIONS = frozenset({"exists", "grouping", "lambda", "untuple"})

# their right side may name a table
IN_FUNCTIONS = frozenset(
    {"in", "notIn", "globalIn", "globalNotIn", "nullIn", "notNullIn", "globalNullIn", "globalNotNullIn"}
)

# the engine takes a bare name as their first argument for a function: arrayMap(file, …) reads files
HIGHER_ORDER_FUNCTIONS = _names(
    """
    arrayAll arrayAvg arrayBottomK arrayCompact arrayCount arrayCumSum arrayCumSumNonNegative arrayDifference
    arrayExists arrayFill arrayFilter arrayFirst arrayFirstIndex arrayFirstOrNull arrayFold arrayLast arrayLastIndex
    arrayLastOrNull arrayMap arrayMax arrayMin arrayPartialReverseSort arrayPartialSort arrayProduct arrayReverseFill
    arrayReverseSort arrayReverseSplit arraySort arraySplit arraySum arrayTopK mapAll mapApply mapExists mapFilter
    mapPartialReverseSort mapPartialSort mapReverseSort mapSort
    """
)

AGGREGATE_FUNCTIONS = _names(
    """
    analysisOfVariance anova any any_respect_nulls any_value any_value_respect_nulls anyHeavy anyLast
    anyLast_respect_nulls anyLastRespectNulls anyRespectNulls anyValueRespectNulls approx_top_count approx_top_k
    approx_top_sum argAndMax argAndMin argMax argMin array_agg array_concat_agg avg avgWeighted BIT_AND BIT_OR BIT_XOR
    boundingRatio categoricalInformationValue contingency corr corrMatrix corrStable count COVAR_POP COVAR_SAMP
    covarPop covarPopMatrix covarPopStable covarSamp covarSampMatrix covarSampStable cramersV cramersVBiasCorrected
    deltaSum deltaSumTimestamp distinctDynamicTypes distinctJSONPaths distinctJSONPathsAndTypes entropy
    exponentialMovingAverage exponentialTimeDecayedAvg exponentialTimeDecayedCount exponentialTimeDecayedMax
    exponentialTimeDecayedSum first_value first_value_respect_nulls firstValueRespectNulls gini group_concat
    groupArray groupArrayInsertAt groupArrayIntersect groupArrayLast groupArrayMovingAvg groupArrayMovingSum
    groupArraySample groupArraySorted groupBitAnd groupBitmap groupBitmapAnd groupBitmapOr groupBitmapXor groupBitOr
    groupBitXor groupConcat groupUniqArray histogram intervalLengthSum kolmogorovSmirnovTest kurtPop kurtSamp
    largestTriangleThreeBuckets last_value last_value_respect_nulls lastValueRespectNulls lttb mannWhitneyUTest max
    max_by maxIntersections maxIntersectionsPosition maxMappedArrays meanZTest median medianBFloat16
    medianBFloat16Weighted medianDD medianDeterministic medianExact medianExactHigh medianExactLow medianExactWeighted
    medianExactWeightedInterpolated medianGK medianInterpolatedWeighted medianTDigest medianTDigestWeighted
    medianTiming medianTimingWeighted min min_by minMappedArrays quantile quantileBFloat16 quantileBFloat16Weighted
    quantileDD quantileDeterministic quantileExact quantileExactExclusive quantileExactHigh quantileExactInclusive
    quantileExactLow quantileExactWeighted quantileExactWeightedInterpolated quantileGK quantileInterpolatedWeighted
    quantiles quantilesBFloat16 quantilesBFloat16Weighted quantilesDD quantilesDeterministic quantilesExact
    quantilesExactExclusive quantilesExactHigh quantilesExactInclusive quantilesExactLow quantilesExactWeighted
    quantilesExactWeightedInterpolated quantilesGK quantilesInterpolatedWeighted quantilesTDigest
    quantilesTDigestWeighted quantilesTiming quantilesTimingWeighted quantileTDigest quantileTDigestWeighted
    quantileTiming quantileTimingWeighted rankCorr regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope
    regr_sxx regr_sxy regr_syy retention sequenceCount sequenceMatch sequenceMatchEvents sequenceNextNode
    simpleLinearRegression singleValueOrNull skewPop skewSamp sparkBar sparkbar STD STDDEV STDDEV_POP STDDEV_SAMP
    stddevPop stddevPopStable stddevSamp stddevSampStable string_agg studentTTest studentTTestOneSample sum sumCount
    sumKahan sumMapFiltered sumMapFilteredWithOverflow sumMappedArrays sumMapWithOverflow sumWithOverflow theilsU topK
    topKWeighted uniq uniqCombined uniqCombined64 uniqExact uniqHLL12 uniqUpTo VAR_POP VAR_SAMP varPop varPopStable
    varSamp varSampStable welchTTest windowFunnel
    """
)

AGGREGATE_COMBINATORS = (
    *("If", "Array", "Map", "Tuple", "Distinct", "ForEach", "Resample", "OrNull", "OrDefault", "ArgMin", "ArgMax"),
    *("SimpleState", "State", "Merge"),
)

WINDOW_FUNCTIONS = _names(
    """
    cume_dist denseRank dense_rank lag lagInFrame lead leadInFrame nonNegativeDerivative nth_value ntile percentRank
    percent_rank rank row_number
    """
)

TABLE_FUNCTIONS = _names(
    """
    SQLStandardValues generateSeries generate_series null numbers numbers_mt values view
    """
)

# tables of the `system` database, each with the columns that were looked at: none holds what other users ask, or what
# lies outside of the store. Where rows are about databases, `session_settings` keeps those of other databases out.
SYSTEM_TABLES = {
    table: _names(columns)
    for table, columns in {
        "columns": """
            database table name type position default_kind default_expression data_compressed_bytes
            data_uncompressed_bytes marks_bytes comment is_in_partition_key is_in_sorting_key is_in_primary_key
            is_in_sampling_key compression_codec character_octet_length numeric_precision numeric_precision_radix
            numeric_scale datetime_precision serialization_hint statistics column
        """,
        "data_type_families": """
            name case_insensitive alias_to description syntax examples introduced_in related
        """,
        "databases": """
            name engine data_path metadata_path uuid engine_full comment is_external database
        """,
        "detached_parts": """
            database table partition_id name bytes_on_disk modification_time disk path reason min_block_number
            max_block_number level
        """,
        "functions": """
            name is_aggregate case_insensitive alias_to create_query origin description syntax arguments parameters
            returned_value examples introduced_in categories deterministic higher_order
        """,
        "numbers": "number",
        "numbers_mt": "number",
        "one": "dummy",
        "parts": """
            partition name uuid part_type part_storage_type active marks rows files bytes_on_disk
            data_compressed_bytes data_uncompressed_bytes primary_key_size marks_bytes
            secondary_indices_compressed_bytes secondary_indices_uncompressed_bytes secondary_indices_marks_bytes
            modification_time remove_time refcount min_date max_date min_time max_time partition_id min_block_number
            max_block_number level data_version primary_key_bytes_in_memory primary_key_bytes_in_memory_allocated
            index_granularity_bytes_in_memory index_granularity_bytes_in_memory_allocated is_frozen database table
            engine disk_name path hash_of_all_files hash_of_uncompressed_files uncompressed_hash_of_compressed_files
            delete_ttl_info_min delete_ttl_info_max move_ttl_info.expression move_ttl_info.min move_ttl_info.max
            default_compression_codec recompression_ttl_info.expression recompression_ttl_info.min
            recompression_ttl_info.max group_by_ttl_info.expression group_by_ttl_info.min group_by_ttl_info.max
            rows_where_ttl_info.expression rows_where_ttl_info.min rows_where_ttl_info.max projections visible
            creation_tid removal_tid_lock removal_tid creation_csn removal_csn has_lightweight_delete
            last_removal_attempt_time removal_state bytes marks_size part_name
        """,
        "settings": """
            name value changed description min max disallowed_values readonly type default alias_for is_obsolete tier
        """,
        "tables": """
            database name uuid engine is_temporary data_paths metadata_path metadata_modification_time
            metadata_version dependencies_database dependencies_table create_table_query engine_full as_select
            parameterized_view_parameters partition_key sorting_key primary_key sampling_key unique_key
            skipping_indices_types storage_policy total_rows total_bytes total_bytes_uncompressed parts active_parts
            total_marks active_on_fly_data_mutations active_on_fly_alter_mutations active_on_fly_metadata_mutations
            columns_descriptions_cache_size lifetime_rows lifetime_bytes comment has_own_data
            loading_dependencies_database loading_dependencies_table loading_dependent_database
            loading_dependent_table target_database target_table definer table
        """,
        "time_zones": "time_zone",
        "zeros": "zero",
        "zeros_mt": "zero",
    }.items()
}

EXPLAIN_KINDS = frozenset(
    {"EXPLAIN", "EXPLAIN AST", "EXPLAIN ESTIMATE", "EXPLAIN PIPELINE", "EXPLAIN QUERY TREE", "EXPLAIN SYNTAX"}
)
EXPLAIN_OPTIONS = _names(
    """
    actions ast compact description distributed dump_ast dump_passes dump_tree graph header indexes json
    keep_logical_steps oneline passes pretty projections query_tree_passes run_passes run_query_tree_passes sorting
    """
)

FORMATS = _names(
    """
    Arrow ArrowStream BSONEachRow CSV CSVWithNames CSVWithNamesAndTypes JSON JSONColumns JSONColumnsWithMetadata
    JSONCompact JSONCompactColumns JSONCompactEachRow JSONCompactEachRowWithNames JSONCompactEachRowWithNamesAndTypes
    JSONCompactStrings JSONCompactStringsEachRow JSONCompactStringsEachRowWithNames
    JSONCompactStringsEachRowWithNamesAndTypes JSONEachRow JSONL JSONLines JSONObjectEachRow JSONStrings
    JSONStringsEachRow LineAsString MD Markdown MsgPack NDJSON Native Null ORC Parquet Pretty PrettyCompact
    PrettyCompactMonoBlock PrettyCompactNoEscapes PrettyCompactNoEscapesMonoBlock PrettyJSONEachRow PrettyJSONLines
    PrettyMonoBlock PrettyNDJSON PrettyNoEscapes PrettyNoEscapesMonoBlock PrettySpace PrettySpaceMonoBlock
    PrettySpaceNoEscapes PrettySpaceNoEscapesMonoBlock Raw RawBLOB RawWithNames RawWithNamesAndTypes RowBinary
    RowBinaryWithNames RowBinaryWithNamesAndTypes SQLInsert TSKV TSV TSVRaw TSVRawWithNames TSVRawWithNamesAndTypes
    TSVWithNames TSVWithNamesAndTypes TabSeparated TabSeparatedRaw TabSeparatedRawWithNames
    TabSeparatedRawWithNamesAndTypes TabSeparatedWithNames TabSeparatedWithNamesAndTypes Values Vertical XML
    """
)

# what EXPLAIN AST calls the parts of a SELECT or DESCRIBE. Left out: nodes that hide what is below them
# (ColumnsApplyTransformer prints neither its function nor its lambda), endless reading (ASTStreamSettings), and every
# statement that writes.
NODES = _names(
    """
    ArrayJoin Asterisk ColumnsExceptTransformer ColumnsListMatcher ColumnsRegexpMatcher ColumnsReplaceTransformer
    ColumnsReplaceTransformer::Replacement ColumnsTransformerList DescribeQuery Explain ExpressionList Function
    Identifier InterpolateElement Literal OrderByElement QualifiedAsterisk QualifiedColumnsListMatcher
    QualifiedColumnsRegexpMatcher SampleRatio SelectIntersectExceptQuery SelectQuery SelectWithUnionQuery Set
    Subquery TableExpression TableIdentifier TableJoin TablesInSelectQuery TablesInSelectQueryElement
    WindowDefinition WindowListElement WithElement
    """
)


def _number(lowest: int, highest: int) -> Callable[[str], str]:
    """A check that says what is expected instead of a value, or nothing where it fits."""
    expected = f"a whole number from {lowest} to {highest}"
    return lambda value: "" if re.fullmatch(r"\d{1,20}", value) and lowest <= int(value) <= highest else expected


def _one_of(*choices: str) -> Callable[[str], str]:
    return lambda value: "" if value in choices else f"one of {', '.join(choices)}"


_ANY_NUMBER = _number(0, 2**64 - 1)
_FLAG = _one_of("0", "1", "true", "false")
_OVERFLOW = _one_of("throw", "break")
_TEXT = re.compile(r"[\w ./:+-]{0,64}").fullmatch


def _text(value: str) -> str:
    return "" if _TEXT(value) else "at most 64 letters, digits, spaces and ./:+-_"


# the settings that bound or shape an answer, with what their values may be; 0 would lift a bound
SETTINGS: dict[str, Callable[[str], str]] = {
    "max_memory_usage": _number(1, MAX_MEMORY_BYTES),
    "max_execution_time": _number(1, MAX_SECONDS),
    "max_threads": _number(1, MAX_THREADS),
    "max_block_size": _number(1, MAX_BLOCK_ROWS),
    **dict.fromkeys(
        _names("""
        limit max_bytes_in_distinct max_bytes_in_join max_bytes_in_set max_bytes_to_read max_bytes_to_sort
        max_result_bytes max_result_rows max_rows_in_distinct max_rows_in_join max_rows_in_set max_rows_to_group_by
        max_rows_to_read max_rows_to_sort offset output_format_float_precision output_format_pretty_max_column_pad_width
        output_format_pretty_max_rows output_format_pretty_max_value_width query_cache_ttl
        """),
        _ANY_NUMBER,
    ),
    **dict.fromkeys(
        _names("""
        cast_keep_nullable cast_string_to_dynamic_use_inference extremes final
        input_format_binary_read_json_as_string input_format_defaults_for_omitted_fields
        input_format_native_allow_types_conversion input_format_null_as_default input_format_skip_unknown_fields
        join_use_nulls output_format_arrow_low_cardinality_as_dictionary output_format_arrow_string_as_string
        output_format_binary_encode_types_in_binary_format output_format_binary_write_json_as_string
        output_format_csv_crlf_end_of_line output_format_decimal_trailing_zeros output_format_json_array_of_rows
        output_format_json_escape_forward_slashes output_format_json_named_tuples_as_objects
        output_format_json_quote_64bit_floats output_format_json_quote_64bit_integers
        output_format_json_quote_decimals output_format_json_quote_denormals
        output_format_json_skip_null_value_in_named_tuples output_format_json_validate_utf8
        output_format_native_encode_types_in_binary_format
        output_format_native_use_flattened_dynamic_and_json_serialization output_format_native_write_json_as_string
        output_format_parallel_formatting output_format_parquet_string_as_string
        output_format_pretty_highlight_digit_groups output_format_pretty_row_numbers
        output_format_tsv_crlf_end_of_line output_format_write_statistics transform_null_in use_query_cache
        """),
        _FLAG,
    ),
    **dict.fromkeys(
        _names("""
        distinct_overflow_mode join_overflow_mode read_overflow_mode result_overflow_mode set_overflow_mode
        sort_overflow_mode timeout_overflow_mode
        """),
        _OVERFLOW,
    ),
    "group_by_overflow_mode": _one_of("throw", "break", "any"),
    "date_time_input_format": _one_of("basic", "best_effort", "best_effort_us"),
    "date_time_output_format": _one_of("simple", "iso", "unix_timestamp"),
    "format_csv_delimiter": lambda value: "" if value in (",", ";", "|", "\t", " ") else "one of , ; | tab space",
    "join_algorithm": _text,
    "join_default_strictness": _one_of("", "ALL", "ANY"),
    "output_format_arrow_compression_method": _one_of("none", "lz4_frame", "zstd"),
    "output_format_parquet_compression_method": _one_of("none", "lz4", "zstd", "snappy", "gzip", "brotli"),
    "output_format_pretty_color": _one_of("0", "1", "auto"),
    "session_timezone": _text,
    "union_default_mode": _one_of("", "ALL", "DISTINCT"),
}


def session_settings(database: str) -> dict[str, str]:
    """The engine's own walls for a session that runs allowed statements; a statement may only lower its bounds.

    Args:
        database: the store's.

    Returns:
        Settings by name; ``readonly`` comes last, since nothing can be set after it.
    """
    own = {
        "columns": "database",
        "databases": "name",
        "detached_parts": "database",
        "parts": "database",
        "tables": "database",
    }
    filters = ", ".join(f"'system.{table}': '{column} = \\'{database}\\''" for table, column in own.items())
    return {
        "additional_table_filters": f"{{{filters}}}",
        "allow_ddl": "0",
        "allow_introspection_functions": "0",
        "max_execution_time": str(MAX_SECONDS),
        "max_memory_usage": str(MAX_MEMORY_BYTES),
        "readonly": "1",
    }
