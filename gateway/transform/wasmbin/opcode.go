package wasmbin

// Opcodes that are treated one by one (Core 2.0, 5.4).
const (
	opUnreachable  = 0x00
	opNop          = 0x01
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opDrop         = 0x1a
	opSelect       = 0x1b
	opSelectT      = 0x1c
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opFirstLoad    = 0x28
	opFirstStore   = 0x36
	opLastStore    = 0x3e
	opMemorySize   = 0x3f
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opF32Const     = 0x43
	opF64Const     = 0x44
	opI32LtU       = 0x49
	opI32LeU       = 0x4d
	opI32Add       = 0x6a
	opI64LtS       = 0x53
	opLastNumeric  = 0xc4
	opI64Sub       = 0x7d
	opI64Mul       = 0x7e
	opI64ShrU      = 0x88
	opI64ExtendU   = 0xad
	opMisc         = 0xfc
	opVec          = 0xfd

	miscMemoryInit = 8
	miscMemoryCopy = 10
	miscMemoryFill = 11

	vecStore      = 0x0b
	vecConst      = 0x0c
	vecShuffle    = 0x0d
	vecFirstLane  = 0x15
	vecLastLane   = 0x22
	vecLoadLane   = 0x54
	vecStoreLane  = 0x5b
	vecLoad32Zero = 0x5c
	vecLoad64Zero = 0x5d
)

// The price of an instruction, in units of fuel. One unit is the cheapest that
// becomes machine code; reading a local, literals and the borders of blocks do not.
// The others are set so that no mix of instructions takes much longer per unit than
// another: BenchmarkWorstCase in package guest measures it.
const (
	costPlain = 1
	// costMemory is an access that misses the nearest cache, costFar one to a
	// memory that fits into none.
	costMemory = 3
	costFar    = 64
	costVector = 2
	costSlow   = 8
	costDivide = 12
	// costFloat is what a processor needs for numbers too small to be normal.
	costFloat    = 48
	costCall     = 6
	costIndirect = 10
	// costImport is a round trip into the host.
	costImport = 400
	costEntry  = 16
	// costPoint is the cost from which a stretch of code is charged by itself,
	// maxFolded what one point takes over from the stretches behind it.
	costPoint = 48
	maxFolded = 64
	costBulk  = 40
	// bulkShift makes one unit of fuel move eight bytes, farShift two.
	bulkShift = 3
	farShift  = 1
	// costGrow pays for the call, costPage for moving and clearing one page that
	// the processor has never seen.
	costGrow = 4000
	costPage = 4 * 65536 >> bulkShift
	// costFarPage leaves little to spend in a memory that fits into no cache.
	costFarPage = 12 * 65536 >> bulkShift
)

// price of opcodes without immediates that are worth more than one unit.
func price(op byte) int64 {
	switch {
	case op >= 0x6d && op <= 0x70, op >= 0x7f && op <= 0x82: // integer div, rem
		return costDivide
	case op == 0x91, op == 0x94, op == 0x95, op == 0x9f, op == 0xa2, op == 0xa3: // float sqrt, mul, div
		return costFloat
	case op >= 0x8d && op <= 0x90, op >= 0x9b && op <= 0x9e: // ceil, floor, trunc, nearest
		return costMemory
	case op >= 0xa8 && op <= 0xb1, op >= 0xb2 && op <= 0xbb: // between float and integer
		return costCall
	}
	return costPlain
}

func vecPrice(op uint32) int64 {
	switch op {
	case 0xe3, 0xe6, 0xe7, 0xef, 0xf2, 0xf3: // f32x4 and f64x2 sqrt, mul, div
		return costFloat
	case 0xcb, 0xcc, 0xcd, 0xf8, 0xf9, 0xfc, 0xfd, 0x5e, 0x5f: // i64x2 shifts, float to integer, between float sizes
		return costSlow
	case vecShuffle, 0xd5, 0x0e, 0xe8, 0xe9, 0xf4, 0xf5: // shuffle, i64x2.mul, swizzle, float min and max
		return costMemory
	}
	return costVector
}
