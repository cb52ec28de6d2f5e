package bench

import "testing"

// No way has an advantage by where it stands or by which other it follows.
func TestSliceOrdersAreBalanced(t *testing.T) {
	t.Parallel()
	places, follows := map[[2]int]int{}, map[[2]int]int{}
	for _, order := range sliceOrders {
		if len(order) != len(ways) {
			t.Fatalf("order %v, want all of %d ways", order, len(ways))
		}
		for place, way := range order {
			places[[2]int{place, way}]++
			if place > 0 {
				follows[[2]int{order[place-1], way}]++
			}
		}
	}
	for a := range ways {
		for b := range ways {
			if got := places[[2]int{a, b}]; got != 1 {
				t.Errorf("%s stands in place %d in %d orders, want 1", ways[b].name, a, got)
			}
			if got := follows[[2]int{a, b}]; a != b && got != 1 {
				t.Errorf("%s follows %s in %d orders, want 1", ways[b].name, ways[a].name, got)
			}
		}
	}
}
