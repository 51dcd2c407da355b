// SPDX-License-Identifier: Apache-2.0

package policy

// Nearest returns the known word that word may be a slip of: one that takes at
// most a third of its letters to change, inserted and left out letters included;
// "" if there is none.
func Nearest(word string, known []string) string {
	best, nearest := "", len(word)/3+1
	if len(word) > 64 { // no slip, and the distance costs len²
		return ""
	}
	for _, k := range known {
		if d := distance(word, k); d < nearest {
			best, nearest = k, d
		}
	}
	return best
}

// didYouMean is Nearest as the end of a message.
func didYouMean(word string, known []string) string {
	if near := Nearest(word, known); near != "" {
		return "; is it " + near + "?"
	}
	return ""
}

// distance is how many letters must be changed, put in or left out to make b of
// a (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0] // of the row above, one to the left
		row[0] = i + 1
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change++
			}
			before = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
