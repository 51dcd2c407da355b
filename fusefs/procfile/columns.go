// SPDX-License-Identifier: Apache-2.0

package procfile

import "strconv"

// maxDigits is the length of the largest uint64 in decimal.
const maxDigits = 20

// appendRight appends v in decimal, padded on the left with blanks to width, as
// the kernel's %*lu does: a longer number is written whole.
func appendRight(dst []byte, v uint64, width int) []byte {
	var buf [maxDigits]byte
	digits := strconv.AppendUint(buf[:0], v, 10)
	dst = appendBlanks(dst, width-len(digits))
	return append(dst, digits...)
}

// appendBlanks appends n blanks; none when n is negative.
func appendBlanks(dst []byte, n int) []byte {
	for ; n > 0; n-- {
		dst = append(dst, ' ')
	}
	return dst
}

// parseUint reads all of s as a decimal number without sign, the only form in
// which the kernel prints the values parsed here. It allocates nothing, not
// even for its failure.
func parseUint[T ~string | ~[]byte](s T) (v uint64, ok bool) {
	if len(s) == 0 || len(s) > maxDigits {
		return 0, false
	}
	for i := range len(s) {
		d := uint64(s[i] - '0')
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		const cutoff = ^uint64(0) / 10
		if v > cutoff || v == cutoff && d > ^uint64(0)%10 {
			return 0, false
		}
		v = v*10 + d
	}
	return v, true
}
