package qupath.lib.images;

public class ImageData {
    public enum ImageType { BRIGHTFIELD_H_DAB, BRIGHTFIELD_H_E, BRIGHTFIELD_OTHER, FLUORESCENCE, OTHER, UNSET }
}
