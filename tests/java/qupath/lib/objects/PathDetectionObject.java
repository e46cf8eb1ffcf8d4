package qupath.lib.objects;

public class PathDetectionObject extends PathROIObject {
    private static final long serialVersionUID = 1L;
}
